/* fsyncs DIR PROCESSES TIMES [idle]: each process writes 100 bytes to its own file and fsyncs it,
 * so many times. With `idle` it writes once only, and then fsyncs again and again with nothing new.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *dir, int process, int times, int idle)
{
    char path[4096], data[100] = {1};
    snprintf(path, sizeof path, "%s/own.%d", dir, process);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || (idle && (pwrite(fd, data, sizeof data, 0) < 0 || fsync(fd))))
        return 1;
    for (int i = 0; i < times; i++)
        if ((!idle && pwrite(fd, data, sizeof data, 0) < 0) || fsync(fd))
            return 1;
    return close(fd) ? 1 : 0;
}

int main(int argc, char **argv)
{
    int status, failed = 0;
    if (argc < 4)
        return 2;
    for (int i = 0; i < atoi(argv[2]); i++)
        if (fork() == 0)
            _exit(run(argv[1], i, atoi(argv[3]), argc > 4));
    while (wait(&status) > 0)
        failed |= status;
    return failed ? 1 : 0;
}
