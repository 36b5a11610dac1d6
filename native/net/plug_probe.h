// Finds out whether this kernel can hold output with a plug, by doing it.
#pragma once

namespace understudy {

// Makes a scratch tap and its plug path, holds one frame, lets it go and removes everything. Throws
// SyscallError or CodedError with what this kernel refused. Blocks for milliseconds.
void ProbePlug();

}  // namespace understudy
