#include "pass_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>

#include <cstddef>
#include <utility>

#include "address_table.h"
#include "limits.h"

namespace understudy {
namespace {

// TC_ACT_UNSPEC, TCX_NEXT: whoever is next in line decides, here the redirect into the reading tap.
constexpr int32_t kNext = -1;

constexpr int16_t kKeyAt = -static_cast<int16_t>(sizeof(SourceKey));
constexpr int16_t kKeyMacAt = kKeyAt + int16_t{offsetof(SourceKey, mac)};
constexpr int16_t kKeyTypeAt = kKeyAt + int16_t{offsetof(SourceKey, type)};
constexpr int16_t kKeyAddressAt = kKeyAt + int16_t{offsetof(SourceKey, address)};
static_assert(sizeof(SourceKey) == 24, "no byte of the key is left unset");

constexpr int32_t kFrameSourceMacAt = 6;
constexpr int32_t kFrameIpv4SourceAt = kEthernetHeaderBytes + 12;
constexpr int32_t kFrameIpv6SourceAt = kEthernetHeaderBytes + 8;

// Calls: arguments in 1 to 5, which do not survive; result in 0; 6 to 9 survive; 10 is the stack's end.
enum Register : uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10 };

bpf_insn Instruction(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn made{};
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = to & 0xf;
  made.src_reg = from & 0xf;
  made.off = offset;
  made.imm = value;
  return made;
}

bpf_insn Copy(Register to, Register from) { return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn Set(Register to, int32_t value) { return Instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
bpf_insn Add(Register to, int32_t value) { return Instruction(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
// `width`: BPF_H, BPF_W, BPF_DW.
bpf_insn Load(int width, Register to, Register from, size_t at) {
  return Instruction(BPF_LDX | BPF_MEM | width, to, from, static_cast<int16_t>(at), 0);
}
bpf_insn Store(int width, Register to, int16_t at, Register from) {
  return Instruction(BPF_STX | BPF_MEM | width, to, from, at, 0);
}
// Needed: several of the guest's queues may send at once.
bpf_insn AddTo(Register to, size_t at, Register from) {
  return Instruction(BPF_STX | BPF_ATOMIC | BPF_DW, to, from, static_cast<int16_t>(at), BPF_ADD);
}
bpf_insn Call(int32_t helper) { return Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
bpf_insn Exit() { return Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

// Instructions with places to jump to: only forward, each named place once.
class Assembler {
 public:
  enum Place { kIpv4, kIpv6, kLookUp, kPass, kDivert, kPlaces };

  void Do(bpf_insn instruction) { program_.push_back(instruction); }
  // The file descriptor stands for the map, or with BPF_PSEUDO_MAP_VALUE for its first element. Two slots.
  void SetMap(Register to, uint8_t kind, int map_fd) {
    Do(Instruction(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, map_fd));
    Do(bpf_insn{});
  }
  void Jump(Place place) { JumpTo(place, Instruction(BPF_JMP | BPF_JA, 0, 0, 0, 0)); }
  // `compare`: BPF_JEQ, BPF_JNE, BPF_JGE.
  void JumpIf(Register left, int compare, Register right, Place place) {
    JumpTo(place, Instruction(BPF_JMP | compare | BPF_X, left, right, 0, 0));
  }
  void JumpIf(Register left, int compare, int32_t right, Place place) {
    JumpTo(place, Instruction(BPF_JMP | compare | BPF_K, left, 0, 0, right));
  }
  void Here(Place place) {
    for (const auto& [wanted, at] : jumps_) {
      if (wanted == place) program_[at].off = static_cast<int16_t>(program_.size() - at - 1);
    }
  }
  std::vector<bpf_insn> Take() { return std::move(program_); }

 private:
  void JumpTo(Place place, bpf_insn jump) {
    jumps_.emplace_back(place, program_.size());
    Do(jump);
  }

  std::vector<bpf_insn> program_;
  std::vector<std::pair<Place, size_t>> jumps_;
};

constexpr Register kContext = r6, kState = r7, kType = r8;

void RequirePassing(Assembler& to) {
  to.Do(Load(BPF_DW, r9, kState, offsetof(PassState, pass_until_ns)));
  to.JumpIf(r9, BPF_JEQ, 0, Assembler::kDivert);
  to.Do(Call(BPF_FUNC_ktime_get_ns));
  to.JumpIf(r0, BPF_JGE, r9, Assembler::kDivert);
  to.Do(Load(BPF_DW, r1, kState, offsetof(PassState, diverted)));
  to.Do(Load(BPF_DW, r2, kState, offsetof(PassState, left)));
  to.JumpIf(r1, BPF_JNE, r2, Assembler::kDivert);
}

void LoadFrame(Assembler& to, int32_t from, int16_t stack_at, int32_t bytes) {
  to.Do(Copy(r1, kContext));
  to.Do(Set(r2, from));
  to.Do(Copy(r3, r10));
  to.Do(Add(r3, stack_at));
  to.Do(Set(r4, bytes));
  to.Do(Call(BPF_FUNC_skb_load_bytes));
  to.JumpIf(r0, BPF_JNE, 0, Assembler::kDivert);
}

// What AddressTable would not learn from passes as it is.
void RequireKnownSource(Assembler& to, int sources_map_fd) {
  to.Do(Load(BPF_W, r1, kContext, offsetof(__sk_buff, vlan_present)));
  to.JumpIf(r1, BPF_JNE, 0, Assembler::kPass);
  to.Do(Load(BPF_W, kType, kContext, offsetof(__sk_buff, protocol)));
  to.JumpIf(kType, BPF_JEQ, htons(ETH_P_ARP), Assembler::kDivert);
  to.JumpIf(kType, BPF_JEQ, htons(ETH_P_IP), Assembler::kIpv4);
  to.JumpIf(kType, BPF_JEQ, htons(ETH_P_IPV6), Assembler::kIpv6);
  to.Jump(Assembler::kPass);

  to.Here(Assembler::kIpv4);
  to.Do(Set(r1, 0));
  to.Do(Store(BPF_DW, r10, kKeyAddressAt, r1));
  to.Do(Store(BPF_DW, r10, kKeyAddressAt + 8, r1));
  LoadFrame(to, kFrameIpv4SourceAt, kKeyAddressAt, 4);
  to.Jump(Assembler::kLookUp);

  to.Here(Assembler::kIpv6);
  LoadFrame(to, kFrameIpv6SourceAt, kKeyAddressAt, 16);

  to.Here(Assembler::kLookUp);
  LoadFrame(to, kFrameSourceMacAt, kKeyMacAt, 6);
  to.Do(Store(BPF_H, r10, kKeyTypeAt, kType));
  to.SetMap(r1, BPF_PSEUDO_MAP_FD, sources_map_fd);
  to.Do(Copy(r2, r10));
  to.Do(Add(r2, kKeyAt));
  to.Do(Call(BPF_FUNC_map_lookup_elem));
  to.JumpIf(r0, BPF_JEQ, 0, Assembler::kDivert);
}

}  // namespace

std::vector<bpf_insn> PassProgram(const PassProgramOptions& options) {
  Assembler to;
  to.Do(Copy(kContext, r1));
  to.SetMap(kState, BPF_PSEUDO_MAP_VALUE, options.state_map_fd);
  RequirePassing(to);
  RequireKnownSource(to, options.sources_map_fd);

  to.Here(Assembler::kPass);
  to.Do(Set(r1, 1));
  to.Do(AddTo(kState, offsetof(PassState, packets), r1));
  to.Do(Load(BPF_W, r1, kContext, offsetof(__sk_buff, len)));
  to.Do(AddTo(kState, offsetof(PassState, bytes), r1));
  to.Do(Set(r1, options.bridge_tap_index));
  to.Do(Set(r2, BPF_F_INGRESS));
  to.Do(Call(BPF_FUNC_redirect));
  to.Do(Exit());

  to.Here(Assembler::kDivert);
  to.Do(Set(r1, 1));
  to.Do(AddTo(kState, offsetof(PassState, diverted), r1));
  to.Do(Set(r0, kNext));
  to.Do(Exit());
  return to.Take();
}

}  // namespace understudy
