/* maildir DIR PROCESSES MAILS: so many processes deliver mails as a mail server does: write into
 * tmp/, fsync, rename into new/, fsync the folder. Prints the microseconds that a delivery took. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

static void deliver(int process, int mail)
{
    static char text[2048];
    char tmp[64], to[64];
    int fd, dir;
    snprintf(tmp, sizeof tmp, "tmp/%d.%d", process, mail);
    snprintf(to, sizeof to, "new/%d.%d", process, mail);
    memset(text, 'm', sizeof text);
    TRY(fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(write(fd, text, sizeof text));
    TRY(fsync(fd));
    TRY(close(fd));
    TRY(rename(tmp, to));
    TRY(dir = open("new", O_RDONLY | O_DIRECTORY));
    TRY(fsync(dir));
    TRY(close(dir));
}

int main(int argc, char **argv)
{
    int status, failed = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: maildir DIR PROCESSES MAILS\n");
        return 2;
    }
    int processes = atoi(argv[2]), mails = atoi(argv[3]);
    TRY(chdir(argv[1]));
    TRY(mkdir("tmp", 0700));
    TRY(mkdir("new", 0700));
    double start = now_us();
    for (int p = 0; p < processes; p++)
        if (fork() == 0) {
            for (int i = 0; i < mails; i++)
                deliver(p, i);
            _exit(0);
        }
    while (wait(&status) > 0)
        failed |= status;
    printf("%.1f\n", (now_us() - start) / mails);
    return failed ? 1 : 0;
}
