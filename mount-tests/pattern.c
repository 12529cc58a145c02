/* pattern FILE BYTES [write|check] [FROM]: writes (or checks) a pattern in which every 8 bytes say
 * where they are. Writes are of 1 MiB; `check` reads in pieces of 300,000 bytes. FROM: only from
 * this offset on. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill(char *p, uint64_t off, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = off + i, word = (at / 8 + 1) * 0x9e3779b97f4a7c15ull;
        p[i] = (char)(word >> (8 * (at % 8)));
    }
}

int main(int argc, char **argv)
{
    static char want[1 << 20], got[1 << 20];
    if (argc < 4)
        return 2;
    uint64_t size = strtoull(argv[2], NULL, 0), off = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
    int writing = strcmp(argv[3], "write") == 0;
    int fd = open(argv[1], writing ? O_WRONLY | O_CREAT : O_RDONLY, 0644);
    if (fd < 0)
        return perror(argv[1]), 1;
    while (off < size) {
        size_t piece = writing ? sizeof want : 300000,
               n = size - off < piece ? (size_t)(size - off) : piece;
        fill(want, off, n);
        ssize_t r = writing ? pwrite(fd, want, n, (off_t)off) : pread(fd, got, n, (off_t)off);
        if (r != (ssize_t)n)
            return perror("read or write"), 1;
        if (!writing && memcmp(want, got, n) != 0) {
            printf("wrong data between %llu and %llu\n", (unsigned long long)off,
                   (unsigned long long)(off + n));
            return 1;
        }
        off += n;
    }
    return close(fd) ? 1 : 0;
}
