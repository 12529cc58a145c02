/* The kernel's words for FUSE over io_uring (since Linux 6.14, FUSE 7.42), which the headers of
 * Debian 12 lack. Facts: the kernel's include/uapi/linux/fuse.h and
 * Documentation/filesystems/fuse/fuse-io-uring.rst. */
#ifndef FS_FUSE_URING_ABI_H
#define FS_FUSE_URING_ABI_H

#include <stdint.h>

#define URING_ABI_FLAG2 (1u << (41 - 32)) /* FUSE_OVER_IO_URING, in INIT's flags2 */
#define URING_ABI_OP_BYTES 128

enum { URING_ABI_REGISTER = 1, URING_ABI_COMMIT_AND_FETCH = 2 }; /* sqe.cmd_op */

/* iov[0] of an entry. Going in (a request): a fuse_in_header, the operation's own fixed struct, and
 * in payload_bytes how much of iov[1] belongs to it (names, data). Coming out (the answer): a
 * fuse_out_header, and in payload_bytes how much of iov[1] does: all that follows the header. */
struct uring_abi_header {
    char in_out[128];
    char op[URING_ABI_OP_BYTES];
    uint64_t flags;
    uint64_t commit_id; /* the request's number: goes into the command that answers it */
    uint32_t payload_bytes;
    uint32_t padding;
    uint64_t reserved;
};
_Static_assert(sizeof(struct uring_abi_header) == 288, "struct fuse_uring_req_header");

/* In sqe.cmd, 80 bytes with IORING_SETUP_SQE128. */
struct uring_abi_command {
    uint64_t flags;
    uint64_t commit_id;
    uint16_t queue; /* a CPU's number */
    uint8_t padding[6];
};

#endif
