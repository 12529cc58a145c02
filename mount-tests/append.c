/* append DIR PROCESSES RECORDS REPORT: so many processes append records to a file each, fsync, and
 * report each one in the file REPORT (opened O_APPEND, outside of the mount) only then. Ends
 * quietly when the mount goes away. append -v DIR REPORT: every reported record is there, whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int make_record(char *out, size_t size, int process, int record)
{
    return snprintf(out, size, "process %02d record %06d %0*d\n", process, record,
                    40 + record % 300, record);
}

static void append_all(const char *dir, int process, int records, int report)
{
    char path[4096], record[512], line[64];
    snprintf(path, sizeof path, "%s/append.%02d", dir, process);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (int i = 0; fd >= 0 && i < records; i++) {
        int n = make_record(record, sizeof record, process, i);
        if (write(fd, record, (size_t)n) != n || fsync(fd))
            break;
        n = snprintf(line, sizeof line, "%d %d\n", process, i);
        if (write(report, line, (size_t)n) != n)
            break;
    }
    _exit(0);
}

/* Where a record begins: its length depends on its number alone. */
static long begin_of(int record)
{
    static long *begins;
    static int known;
    char text[512];
    if (record >= known) {
        begins = realloc(begins, (size_t)(record + 1) * sizeof *begins);
        if (known == 0)
            begins[known++] = 0;
        for (; known <= record; known++)
            begins[known] = begins[known - 1] + make_record(text, sizeof text, 0, known - 1);
    }
    return begins[record];
}

static int verify(const char *dir, FILE *report)
{
    int process, record, missing = 0, seen = 0;
    while (fscanf(report, "%d %d", &process, &record) == 2) {
        char path[4096], want[512], got[512];
        int n = make_record(want, sizeof want, process, record);
        long off = begin_of(record);
        snprintf(path, sizeof path, "%s/append.%02d", dir, process);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || pread(fd, got, (size_t)n, off) != n || memcmp(got, want, (size_t)n) != 0) {
            printf("missing: process %d record %d\n", process, record);
            missing++;
        }
        if (fd >= 0)
            close(fd);
        seen++;
    }
    printf("%d reported, %d missing\n", seen, missing);
    return missing > 0 || seen == 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "-v") == 0) {
        FILE *report = fopen(argv[3], "r");
        return report ? verify(argv[2], report) : 2;
    }
    if (argc != 5)
        return 2;
    int report = open(argv[4], O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (int i = 0; i < atoi(argv[2]); i++)
        if (fork() == 0)
            append_all(argv[1], i, atoi(argv[3]), report);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}
