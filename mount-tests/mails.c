/* mails DIR PROCESSES MAILS REPORT [nosync]: so many processes deliver mails into the maildir DIR
 * as mail servers do: write DIR/tmp/NAME, fsync it, rename it to DIR/new, fsync that folder, and
 * only then report it in the file REPORT (opened O_APPEND, outside of the mount). One more process
 * reads what is new and files it in DIR/cur. All end quietly when the mount goes away. With nosync
 * nobody calls fsync: kill -9 of the daemon alone must not lose a mail either.
 *
 * mails -v DIR REPORT: each reported mail is there once, in new or cur, and each mail there is
 * whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAIL_MAX 70000

static int sync_wanted = 1;

/* A mail's text follows from its two numbers: 100 bytes to 70,000, most of them short. */
static size_t make_mail(char *out, int process, int number)
{
    uint32_t x = (uint32_t)(process * 1000003 + number * 7919 + 1);
    size_t size = 100 + (x * 2654435761u >> 16) % (number % 8 == 0 ? MAIL_MAX - 100 : 4000);
    int n = snprintf(out, size, "From: process %d\nSubject: number %d\n\n", process, number);
    for (size_t i = (size_t)n; i < size; i++) {
        x = x * 1103515245u + 12345u;
        out[i] = (char)('a' + (x >> 16) % 26);
    }
    return size;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int deliver(const char *dir, int process, int number, char *text)
{
    char tmp[4096], final[4096], folder[4096];
    size_t size = make_mail(text, process, number), half = size / 2;
    snprintf(tmp, sizeof tmp, "%s/tmp/%d.%d", dir, process, number);
    snprintf(final, sizeof final, "%s/new/%d.%d", dir, process, number);
    snprintf(folder, sizeof folder, "%s/new", dir);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -1;
    int bad = write(fd, text, half) != (ssize_t)half ||
              write(fd, text + half, size - half) != (ssize_t)(size - half) ||
              (sync_wanted && fsync(fd));
    bad |= close(fd) != 0;
    return bad || rename(tmp, final) || (sync_wanted && sync_folder(folder)) ? -1 : 0;
}

static void deliver_all(const char *dir, int process, int mails, int report)
{
    char text[MAIL_MAX], line[64];
    for (int i = 0; i < mails && deliver(dir, process, i, text) == 0; i++) {
        int n = snprintf(line, sizeof line, "%d.%d\n", process, i);
        if (write(report, line, (size_t)n) != n)
            break;
    }
    _exit(0);
}

/* The reader: until the mount or its parent is gone. */
static void file_away(const char *dir, pid_t parent)
{
    char from[4096], to[4096];
    while (getppid() == parent) {
        snprintf(from, sizeof from, "%s/new", dir);
        DIR *d = opendir(from);
        if (!d)
            break;
        for (struct dirent *e; (e = readdir(d));) {
            snprintf(from, sizeof from, "%s/new/%s", dir, e->d_name);
            snprintf(to, sizeof to, "%s/cur/%s", dir, e->d_name);
            if (e->d_name[0] != '.' && rename(from, to))
                _exit(0);
        }
        closedir(d);
        usleep(20000);
    }
    _exit(0);
}

/* 0: absent, 1: whole, -1: damaged. */
static int look_at(const char *dir, const char *folder, const char *name)
{
    static char want[MAIL_MAX], got[MAIL_MAX + 1];
    char path[4096];
    int process, number;
    snprintf(path, sizeof path, "%s/%s/%s", dir, folder, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    ssize_t n = read(fd, got, sizeof got);
    close(fd);
    if (sscanf(name, "%d.%d", &process, &number) != 2)
        return -1;
    size_t size = make_mail(want, process, number);
    return n == (ssize_t)size && memcmp(got, want, size) == 0 ? 1 : -1;
}

static int verify_folder(const char *dir, const char *folder, int *seen)
{
    char path[4096];
    int bad = 0;
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    DIR *d = opendir(path);
    if (!d)
        return 1;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        ++*seen;
        if (look_at(dir, folder, e->d_name) != 1 && ++bad)
            printf("not whole: %s/%s\n", folder, e->d_name);
    }
    closedir(d);
    return bad;
}

static int verify(const char *dir, FILE *report)
{
    char name[64];
    int reported = 0, there = 0, bad = 0;
    while (fscanf(report, "%63s", name) == 1) {
        reported++;
        if (look_at(dir, "new", name) + look_at(dir, "cur", name) != 1 && ++bad)
            printf("reported, but not there once: %s\n", name);
    }
    bad += verify_folder(dir, "new", &there) + verify_folder(dir, "cur", &there);
    printf("%d reported, %d there, %d bad\n", reported, there, bad);
    return bad > 0 || reported == 0 || there < reported;
}

static int make_folders(const char *dir)
{
    char path[4096];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, (const char *[]){"", "tmp", "new", "cur"}[i]);
        if (mkdir(path, 0700) && errno != EEXIST)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "-v") == 0) {
        FILE *report = fopen(argv[3], "r");
        return report ? verify(argv[2], report) : 2;
    }
    if (argc < 5 || argc > 6 || make_folders(argv[1]))
        return 2;
    sync_wanted = argc == 5;
    int report = open(argv[4], O_WRONLY | O_CREAT | O_APPEND, 0644), processes = atoi(argv[2]);
    pid_t self = getpid(), reader = fork();
    if (reader == 0)
        file_away(argv[1], self);
    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            deliver_all(argv[1], i, atoi(argv[3]), report);
    /* The reader ends by itself with the mount; else it is ended when all have delivered. */
    for (int left = processes; left > 0;)
        left -= wait(NULL) != reader;
    kill(reader, SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
