// The standby's RAM, written from outside: its memfd blocks mapped shared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "memory/apply_order.h"
#include "memory/chunk.h"
#include "memory/owned.h"
#include "memory/page_runs.h"

namespace understudy::memory {

struct ReplicaBlock {
  std::string path;
  uint64_t bytes;
  uint64_t replica_offset;
};

struct ChunkBytes {
  const uint8_t* data;
  size_t bytes;
};

class Replica {
 public:
  // Throws BLOCKS_INVALID when blocks overlap, are not page-aligned, or a file's size differs.
  explicit Replica(std::vector<ReplicaBlock> blocks);

  uint64_t ram_bytes() const { return ram_bytes_; }
  // Safe on any thread: reads nothing that Apply changes.
  ChunkSummary Validate(const ChunkBytes& chunk) const;
  // Whoever applies takes a turn at commit, and awaits it.
  const std::shared_ptr<ApplyOrder>& order() const { return order_; }
  // In its turn. Throws CHUNK_MALFORMED before touching anything when one of the chunks is malformed.
  ChunkSummary Apply(const std::vector<ChunkBytes>& chunks);
  // Takes every page from the system now (fallocate(2)): no write into the replica can then fail for
  // want of memory, and each costs half. Not beside Apply.
  void Reserve();
  // Of all blocks in the order of their offsets; holes count as zeroes and stay holes.
  std::string DigestRam() const;

 private:
  struct Block {
    UniqueFd file;
    Mapping memory;
    uint64_t first_page;
    uint64_t pages;
    // One flag per page: the file may have content there. Holes need no zeroing, and are
    // filled by pwrite, which spares the fault and the kernel's own zeroing of the page.
    std::vector<bool> filled;
  };
  bool Inside(uint64_t first, uint64_t pages) const;
  // Calls visit(block, first page in the block, pages, pages since `first`) per block touched.
  template <typename Visit>
  void EachBlock(uint64_t first, uint64_t pages, Visit visit);
  static void Write(Block& block, uint64_t first, uint64_t pages, const uint8_t* content);
  void Clear(Block& block, uint64_t first, uint64_t pages);
  static void Change(Block& block, uint64_t page, uint64_t lines, const uint8_t* content);

  std::vector<Block> blocks_;
  // Where runs may lie, adjacent blocks merged.
  PageRuns extents_;
  const std::shared_ptr<ApplyOrder> order_ = std::make_shared<ApplyOrder>();
  uint64_t ram_bytes_ = 0;
  bool reserved_ = false;
};

// A JavaScript `NativeReplicaRef` is a Napi::External<ReplicaRef>.
struct ReplicaRef {
  std::shared_ptr<Replica> replica;
};

}  // namespace understudy::memory
