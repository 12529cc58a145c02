/* odd_names DIR: fills DIR with entries whose names programs stumble over (newlines, quotes,
 * dashes, spaces at the ends, bytes that are no UTF-8, 255 bytes, every byte but NUL and '/'), each
 * a file that holds its own name; odd_names -v DIR: all are there. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make(int dir, const char *name)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    int bad = fd < 0 || write(fd, name, strlen(name)) != (ssize_t)strlen(name);
    if (fd < 0 || close(fd))
        perror(name);
    return bad;
}

static int verify(int dir, const char *name)
{
    char got[256] = "";
    int fd = openat(dir, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got);
    if (fd >= 0)
        close(fd);
    if (n == (ssize_t)strlen(name) && memcmp(got, name, (size_t)n) == 0)
        return 0;
    printf("missing or another one's content: %s\n", name);
    return 1;
}

static int each_name(int dir, int (*call)(int, const char *), int *count)
{
    static const char *const names[] = {"new\nline",
                                        "\n",
                                        "\r",
                                        "\t",
                                        " ",
                                        " both ends ",
                                        "-",
                                        "-rf",
                                        "--help",
                                        "*",
                                        "?",
                                        "[a]",
                                        "'",
                                        "\"",
                                        "`",
                                        "$HOME",
                                        "$(false)",
                                        "\\",
                                        "\\n",
                                        "a\\",
                                        "...",
                                        ".hidden",
                                        "~",
                                        "#",
                                        "%s%n",
                                        "a:b",
                                        "=",
                                        "\x1b[31m",
                                        "\xff\xfe",
                                        "\xc3\x28",
                                        "\xed\xa0\x80",
                                        "e\xcc\x81",
                                        "\xc3\xa9",
                                        "CON",
                                        "A",
                                        "a"};
    char name[256];
    int bad = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++, ++*count)
        bad += call(dir, names[i]);
    for (int c = 1; c < 256; c++, ++*count) { /* each byte inside of a name */
        snprintf(name, sizeof name, "byte %c.", c);
        if (c == '/')
            --*count;
        else
            bad += call(dir, name);
    }
    for (int length = 250; length <= 255; length++, ++*count) {
        memset(name, 'n', (size_t)length);
        name[length] = 0;
        bad += call(dir, name);
    }
    return bad;
}

int main(int argc, char **argv)
{
    int verifying = argc == 3 && strcmp(argv[1], "-v") == 0, count = 0, listed = 0;
    if (argc != 2 + verifying)
        return 2;
    DIR *d = opendir(argv[1 + verifying]);
    if (!d)
        return 2;
    int bad = each_name(dirfd(d), verifying ? verify : make, &count);
    rewinddir(d);
    for (struct dirent *e; (e = readdir(d));)
        listed += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (listed != count)
        printf("%d entries listed, %d made\n", listed, count);
    return bad > 0 || listed != count;
}
