/* beside_stream DIR SECONDS MEBIBYTES: what fsync takes while another program writes large files.
 *
 * One process writes that many MiB a second, in pieces of 1 MiB, to a file that it begins anew
 * after each 256 MiB; it syncs nothing. Another appends 200 bytes to a small file and fsyncs it,
 * 200 times a second at most. Prints microseconds: the fsyncs' median, their 99th percentile, and
 * what the stream took for a MiB. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PIECE (1 << 20)
#define PIECES_A_FILE 256
#define MOST 100000

static void wait_until(double us)
{
    double left = us - now_us();
    if (left > 0)
        usleep((useconds_t)left);
}

/* *written: pieces so far. */
static void stream(double pieces_a_second, volatile uint64_t *written)
{
    static char piece[PIECE];
    double start = now_us();
    int fd = -1;
    for (uint64_t i = 0;; i++) {
        if (i % PIECES_A_FILE == 0) {
            if (fd >= 0)
                close(fd);
            TRY(fd = open("stream", O_WRONLY | O_CREAT | O_TRUNC, 0600));
        }
        for (size_t at = 0; at < PIECE; at += 64)
            memcpy(piece + at, &i, sizeof i);
        TRY(write(fd, piece, PIECE));
        *written = i + 1;
        wait_until(start + (double)(i + 1) * 1e6 / pieces_a_second);
    }
}

static int later(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int sync_often(double seconds, double *took)
{
    char record[200] = {0};
    int fd, n = 0;
    double end = now_us() + seconds * 1e6;
    TRY(fd = open("small", O_WRONLY | O_CREAT | O_APPEND, 0600));
    while (n < MOST && now_us() < end) {
        double start = now_us();
        TRY(write(fd, record, sizeof record));
        TRY(fsync(fd));
        took[n++] = now_us() - start;
        wait_until(start + 5000);
    }
    close(fd);
    return n;
}

int main(int argc, char **argv)
{
    static double took[MOST];
    if (argc != 4) {
        fprintf(stderr, "usage: beside_stream DIR SECONDS MEBIBYTES\n");
        return 2;
    }
    double seconds = atof(argv[2]);
    TRY(chdir(argv[1]));
    volatile uint64_t *written =
        mmap(NULL, sizeof *written, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t streaming = fork();
    if (streaming == 0)
        stream(atof(argv[3]), written);
    sync_often(1, took); /* until it is under way */
    uint64_t before = *written;
    double start = now_us();
    int n = sync_often(seconds, took);
    uint64_t pieces = *written - before;
    double us = now_us() - start;
    kill(streaming, SIGKILL);
    waitpid(streaming, NULL, 0);
    qsort(took, (size_t)n, sizeof *took, later);
    printf("%.0f %.0f %.0f\n", took[n / 2], took[n * 99 / 100], pieces ? us / (double)pieces : 0);
    unlink("stream");
    unlink("small");
    return 0;
}
