#include "kernel_pass.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "../common/async.h"
#include "limits.h"

namespace understudy {
namespace {

// Since Linux 6.6; older headers lack it, older kernels refuse it.
constexpr uint32_t kTcxIngress = 46;
constexpr char kName[] = "understudy_pass";
static_assert(sizeof kName <= BPF_OBJ_NAME_LEN);

uint64_t Pointer(const void* to) { return reinterpret_cast<uint64_t>(to); }

int Bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

memory::UniqueFd Make(bpf_cmd command, bpf_attr& attributes, const char* what) {
  const int fd = Bpf(command, attributes);
  if (fd < 0) throw SyscallError("bpf", errno, what);
  return memory::UniqueFd(fd);
}

memory::UniqueFd MakeStateMap() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = sizeof(PassState);
  attributes.max_entries = 1;
  attributes.map_flags = BPF_F_MMAPABLE;
  memcpy(attributes.map_name, kName, sizeof kName);
  return Make(BPF_MAP_CREATE, attributes, "BPF_MAP_CREATE array");
}

memory::UniqueFd MakeSourcesMap() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = sizeof(SourceKey);
  attributes.value_size = sizeof(uint32_t);
  attributes.max_entries = kLearnedAddressesMax;
  memcpy(attributes.map_name, kName, sizeof kName);
  return Make(BPF_MAP_CREATE, attributes, "BPF_MAP_CREATE hash");
}

memory::UniqueFd LoadProgram(const std::vector<bpf_insn>& program) {
  // None of the helpers asks for the GPL.
  static constexpr char kLicense[] = "Apache-2.0";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = Pointer(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = Pointer(kLicense);
  memcpy(attributes.prog_name, kName, sizeof kName);
  return Make(BPF_PROG_LOAD, attributes, "BPF_PROG_LOAD");
}

std::atomic_ref<uint64_t> Shared(uint64_t& word) { return std::atomic_ref<uint64_t>(word); }

}  // namespace

KernelPass::KernelPass(int bridge_tap_index)
    : state_map_(MakeStateMap()),
      sources_map_(MakeSourcesMap()),
      program_(LoadProgram(PassProgram({state_map_.get(), sources_map_.get(), bridge_tap_index}))),
      shared_(sizeof(PassState), PROT_READ | PROT_WRITE, MAP_SHARED, state_map_.get()) {}

KernelPass::~KernelPass() { PassUntil(0); }

void KernelPass::Attach(int tap_index) {
  if (link_) return;
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<uint32_t>(program_.get());
  // The header of Linux 6.1 has no name for target_ifindex's attachment of tcx, but the place is the same.
  attributes.link_create.target_ifindex = static_cast<uint32_t>(tap_index);
  attributes.link_create.attach_type = kTcxIngress;
  link_ = Make(BPF_LINK_CREATE, attributes, "BPF_LINK_CREATE tcx");
  // Frames that came before are in the reading tap, or held: none that comes now may overtake them.
  Shared(State().diverted).fetch_add(1);
}

void KernelPass::PassUntil(uint64_t deadline_ns) { Shared(State().pass_until_ns).store(deadline_ns); }

uint64_t KernelPass::Diverted() const { return Shared(State().diverted).load(); }

void KernelPass::Left(uint64_t diverted) { Shared(State().left).store(diverted); }

void KernelPass::Know(const AddressTable::Learned& learned) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(sources_map_.get());
  if (learned.forgotten) {
    attributes.key = Pointer(&*learned.forgotten);
    Bpf(BPF_MAP_DELETE_ELEM, attributes);
  }
  const uint32_t nothing = 0;
  attributes.key = Pointer(&learned.source);
  attributes.value = Pointer(&nothing);
  // What is refused goes on being diverted: slower, and right.
  Bpf(BPF_MAP_UPDATE_ELEM, attributes);
}

KernelPass::Passed KernelPass::Counts() const {
  return {Shared(State().packets).load(), Shared(State().bytes).load()};
}

}  // namespace understudy
