// The disks of a domain and the block jobs on them: libvirt's own functions.
#include <optional>
#include <string>
#include <utility>

#include "libvirt/arguments.h"
#include "libvirt/domain.h"
#include "libvirt/handles.h"

namespace understudy::libvirt {
namespace {

struct CopyRequest {
  std::string disk;
  std::string destination_xml;
  std::optional<uint32_t> granularity_bytes;
  unsigned int flags;
};

// Typed parameters of one call; frees the names and values that libvirt allocates in them.
class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;
  ~Parameters() { virTypedParamsFree(list_, count_); }
  void AddUnsigned(const char* name, unsigned int value) {
    Checked(virTypedParamsAddUInt(&list_, &count_, &room_, name, value), "virTypedParamsAddUInt");
  }
  virTypedParameterPtr list() const { return list_; }
  int count() const { return count_; }

 private:
  virTypedParameterPtr list_ = nullptr;
  int count_ = 0;
  int room_ = 0;
};

int StartCopy(virDomainPtr domain, const CopyRequest& request) {
  Parameters parameters;
  if (request.granularity_bytes) {
    parameters.AddUnsigned(VIR_DOMAIN_BLOCK_COPY_GRANULARITY, *request.granularity_bytes);
  }
  return virDomainBlockCopy(domain, request.disk.c_str(), request.destination_xml.c_str(),
                            parameters.list(), parameters.count(), request.flags);
}

Napi::Value BytesToJs(Napi::Env env, unsigned long long bytes) {
  return Napi::Number::New(env, static_cast<double>(bytes));
}

}  // namespace

Napi::Value Domain::BlockCopy(const Napi::CallbackInfo& info) {
  const Napi::Object options = ObjectArg(info[0], "options");
  const CopyRequest request{StringArg(options.Get("disk"), "disk"),
                            StringArg(options.Get("destinationXml"), "destinationXml"),
                            OptionalNumber(options, "granularityBytes"),
                            NumberArg(options.Get("flags"), "flags")};
  return Do(info.Env(), "virDomainBlockCopy",
            [request](virDomainPtr domain) { return StartCopy(domain, request); });
}

Napi::Value Domain::BlockJobAbort(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[1], "flags");
  return Do(info.Env(), "virDomainBlockJobAbort",
            [disk = StringArg(info[0], "disk"), flags](virDomainPtr domain) {
              return virDomainBlockJobAbort(domain, disk.c_str(), flags);
            });
}

Napi::Value Domain::BlockJobInfo(const Napi::CallbackInfo& info) {
  using MaybeJob = std::optional<virDomainBlockJobInfo>;
  return Call<MaybeJob>(
      info.Env(),
      [disk = StringArg(info[0], "disk")](virDomainPtr domain) -> MaybeJob {
        virDomainBlockJobInfo job{};
        // Negative on failure, 0 without a job.
        const int jobs = Checked(virDomainGetBlockJobInfo(domain, disk.c_str(), &job, 0),
                                 "virDomainGetBlockJobInfo");
        return jobs == 0 ? MaybeJob() : MaybeJob(job);
      },
      [](Napi::Env env, MaybeJob&& job) -> Napi::Value {
        if (!job) return env.Undefined();
        Napi::Object js = Napi::Object::New(env);
        js.Set("type", job->type);
        js.Set("cursor", BytesToJs(env, job->cur));
        js.Set("end", BytesToJs(env, job->end));
        return js;
      });
}

Napi::Value Domain::BlockInfo(const Napi::CallbackInfo& info) {
  return Call<virDomainBlockInfo>(
      info.Env(),
      [disk = StringArg(info[0], "disk")](virDomainPtr domain) {
        virDomainBlockInfo block{};
        Checked(virDomainGetBlockInfo(domain, disk.c_str(), &block, 0), "virDomainGetBlockInfo");
        return block;
      },
      [](Napi::Env env, virDomainBlockInfo&& block) {
        Napi::Object js = Napi::Object::New(env);
        js.Set("capacity", BytesToJs(env, block.capacity));
        js.Set("allocation", BytesToJs(env, block.allocation));
        js.Set("physical", BytesToJs(env, block.physical));
        return js;
      });
}

}  // namespace understudy::libvirt
