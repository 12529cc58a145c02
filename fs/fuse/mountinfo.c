/* The mount table of this process: see mountinfo.h. The format is in proc(5):
 *
 *   36 35 98:0 /root /mnt rw,noatime shared:1 - fuse.skeinfs /data rw,user_id=0
 *   id parent major:minor root MOUNTPOINT options [optional fields] - FSTYPE SOURCE options
 *
 * Space, tab, newline, backslash (and '#') stand as \ooo in the paths. */
#include "mountinfo.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* A copy of s[0..len) without its escapes. */
static char *unescape(const char *s, size_t len)
{
    char *out = mem_alloc(len + 1), *p = out;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\\' && i + 3 < len && is_octal(s[i + 1]) && is_octal(s[i + 2]) &&
            is_octal(s[i + 3])) {
            *p++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
            i += 3;
        } else {
            *p++ = s[i];
        }
    }
    *p = '\0';
    return out;
}

/* Takes the next word off *line; NULL at the end. The words of a line are separated by one space.
 */
static const char *take_word(const char **line, size_t *len)
{
    const char *p = *line + strspn(*line, " ");
    *len = strcspn(p, " \n");
    *line = p + *len;
    return *len ? p : NULL;
}

bool mountinfo_parse(const char *line, struct mount_entry *out)
{
    const char *word, *mountpoint = NULL, *fstype, *source;
    size_t len, mountpoint_len = 0, fstype_len, source_len;
    unsigned major = 0, minor = 0;
    bool have_id = false;
    for (int i = 0; i < 6; i++) {
        if ((word = take_word(&line, &len)) == NULL)
            return false;
        if (i == 2)
            have_id = sscanf(word, "%u:%u", &major, &minor) == 2;
        if (i == 4) {
            mountpoint = word;
            mountpoint_len = len;
        }
    }
    do {
        if ((word = take_word(&line, &len)) == NULL)
            return false;
    } while (len != 1 || *word != '-');
    fstype = take_word(&line, &fstype_len);
    source = fstype ? take_word(&line, &source_len) : NULL;
    if (!have_id || source == NULL)
        return false;
    *out = (struct mount_entry){
        .id = {major, minor},
        .mountpoint = unescape(mountpoint, mountpoint_len),
        .fstype = unescape(fstype, fstype_len),
        .source = unescape(source, source_len),
    };
    return true;
}

void mountinfo_entry_free(struct mount_entry *e)
{
    free(e->mountpoint);
    free(e->fstype);
    free(e->source);
    *e = (struct mount_entry){{0, 0}, NULL, NULL, NULL};
}

int mountinfo_find_in(FILE *f, const char *mountpoint, struct mount_entry *out)
{
    struct mount_entry e;
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    assert(mountpoint[0] == '/');
    while (getline(&line, &cap, f) > 0) {
        if (!mountinfo_parse(line, &e))
            continue;
        if (strcmp(e.mountpoint, mountpoint) != 0) {
            mountinfo_entry_free(&e);
            continue;
        }
        if (found) /* a later line covers an earlier one */
            mountinfo_entry_free(out);
        *out = e;
        found = true;
    }
    free(line);
    return found ? 0 : -ENOENT;
}

int mountinfo_find(const char *mountpoint, struct mount_entry *out)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (f == NULL) {
        int r = -errno;
        return fail(r, "/proc/self/mountinfo: %s", fail_name(r));
    }
    int r = mountinfo_find_in(f, mountpoint, out);
    fclose(f);
    return r ? fail(r, "%s: nothing is mounted there", mountpoint) : 0;
}
