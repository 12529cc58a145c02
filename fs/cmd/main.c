/* build/skeinfs: chooses the verb. Without one, two paths are a mount as mount(8) asks for it:
 * `skeinfs STORE MOUNTPOINT -o ...` (from /sbin/mount.fuse) or, linked as mount.fuse.skeinfs, with
 * the switches of a mount helper. */
#include "cmd.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static int no_arguments(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say("what shall be done? 'skeinfs help' lists the commands");
    return EXIT_USAGE;
}

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return cmd_version();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"mount", cmd_mount},   {"umount", cmd_umount}, {"unmount", cmd_umount}, {"check", cmd_check},
    {"help", cmd_help},     {"--help", cmd_help},   {"-h", cmd_help},        {"version", version},
    {"--version", version}, {"-V", version},
};

/* A helper call names the store by a path or begins with options; anything else is a verb that does
 * not exist, and must not become a new store of that name. */
static int no_such_verb(int argc, char **argv)
{
    if (argv[1][0] == '-' || strchr(argv[1], '/'))
        return cmd_mount(argc, argv);
    say("there is no command '%s': 'skeinfs help' lists them (a STORE given without 'mount' needs "
        "a "
        "'/' in its path)",
        argv[1]);
    return EXIT_USAGE;
}

/* With a standard descriptor closed, a file of the store would get its number, and a message
 * printed later would be written into that file. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond ulimit -f is an error like any other */
    if (strncmp(name, "mount.", 6) == 0)
        return cmd_mount(argc, argv);
    if (argc < 2)
        return no_arguments(argc, argv);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    }
    return no_such_verb(argc, argv);
}
