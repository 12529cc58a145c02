/* The filesystem: inodes, directories and data on a store. Knows nothing of FUSE: fs/fuse/
 * translates requests into these calls, fs/tests/ makes them directly.
 *
 * Shapes: inode numbers are uint64_t (the root is 1, as FUSE wants it) and are never used twice.
 * Names are NUL- terminated, 1 to 255 bytes. Results are 0 (or a count) or a negative errno;
 * STORE_ECORRUPT becomes -EIO here, with a line in the log that names the file. Any call from any
 * thread.
 *
 * Promise of every call that changes something: when it returns 0 the change is in the store's log
 * (it survives kill -9 of the process); it is on stable storage after fs_sync_inode, or `commit`
 * seconds later.
 *
 * References: fs_lookup, fs_make, fs_link and fs_readdir with `plus` give the caller one reference
 * to the inode, which fs_forget takes back (FUSE's lookup count). An inode that has lost its last
 * name lives until its last reference goes. Who refers to a directory refers to those above it, as
 * the kernel does. There are no open and close: the kernel keeps a reference while a file is open.
 */
#ifndef FS_CORE_FS_H
#define FS_CORE_FS_H

#include <sys/stat.h>
#include <sys/types.h>
#include "../../store/store.h"

#define FS_ROOT 1
#define FS_NAME_MAX 255
#define FS_SYMLINK_MAX 4095
#define FS_LINK_MAX 1000000000u /* of a file, and of a directory by those in it: then -EMLINK */
#define FS_BLOCK 4096

struct fs;

enum fs_atime {
    FS_RELATIME,    /* an access changes atime where it is not younger than mtime or ctime, or a day
                       old */
    FS_STRICTATIME, /* every access does */
    FS_NOATIME,     /* none does */
};

struct fs_options {
    size_t cache_bytes;         /* block cache of the store; default 64 MiB */
    size_t memtable_bytes;      /* default 16 MiB */
    double commit_seconds;      /* default 5: how long an unsynced change may stay volatile; > 0 */
    uint64_t segment_bytes;     /* default 256 MiB: of a file that holds large data, about */
    bool read_only;             /* no file in the folder is changed, made or deleted (store.h) */
    bool only_read_segments;    /* the files of large data are not changed, whatever becomes of the
                                   store: for who looks at one through an environment above it */
    enum fs_atime atime;        /* default FS_RELATIME */
    bool no_directory_atime;    /* an access to a directory changes nothing */
    struct store_options store; /* the rest (store_options_init) */
    void (*log)(void *arg, const char *line);
    void *log_arg;
};

void fs_options_init(struct fs_options *o);

/* Opens the filesystem in folder `dir`: a missing or empty folder becomes a new one (root owned by
 * the caller, 0755). Layout: DIR/skeinfs (a short text: what this folder is, format version),
 * DIR/kv/ (the store), DIR/segments/ (data of large files, once there is any). Errors: -ENOTEMPTY
 * (neither empty nor a store of skeinfs: left untouched), -EWOULDBLOCK (in use, text names the
 * pid), STORE_EFORMAT (newer format or unknown feature bits), and the store's. fail_text() has the
 * words. */
int fs_open(const char *dir, const struct fs_options *o, struct fs **out);
/* Finishes background work it may not leave (orphans are removed), syncs and closes. First error.
 */
int fs_close(struct fs *fs);

/* ------------------------------------------------------------------------------------------------
 * names */

/* The inode `name` of directory `dir`, with a reference, and its attributes. -ENOENT, -ENOTDIR.
 *
 * ".." is the directory's parent. "." is the inode `dir` itself, which may be of any kind, and need
 * not be in memory: so who kept a number (a file handle) gets the inode back, or -ENOENT where it
 * has no name any more. The first such call that has to look for an entry reads all of them, and
 * from then on, until fs_close, their places are kept in memory (a name and 48 bytes for each). */
int fs_lookup(struct fs *fs, uint64_t dir, const char *name, struct stat *st);
void fs_forget(struct fs *fs, uint64_t ino, uint64_t count);

/* Who makes something: owner of what is new. `gid` of a setgid directory wins, as POSIX allows; a
 * directory's default ACL takes the place of the umask. */
struct fs_caller {
    uid_t uid;
    gid_t gid;
    mode_t umask;
};
/* Creates a file, directory, symlink (target), fifo, socket or device by the type in `mode`
 * (without umask). -EEXIST where the name is taken. */
int fs_make(struct fs *fs, const struct fs_caller *who, uint64_t dir, const char *name, mode_t mode,
            dev_t rdev, const char *target, struct stat *st);
/* Creates a file without a name, as fs_make would in `dir`; fs_link gives it one. Without one it
 * ends with its last reference, or with the process. */
int fs_make_unnamed(struct fs *fs, const struct fs_caller *who, uint64_t dir, mode_t mode,
                    struct stat *st);
/* -ENOENT for a file that has lost its last name. */
int fs_link(struct fs *fs, uint64_t ino, uint64_t dir, const char *name, struct stat *st);
int fs_unlink(struct fs *fs, uint64_t dir, const char *name);
int fs_rmdir(struct fs *fs, uint64_t dir, const char *name);
/* flags: 0, RENAME_NOREPLACE, RENAME_EXCHANGE (linux/fs.h). One batch, whatever it replaces. */
int fs_rename(struct fs *fs, uint64_t dir, const char *name, uint64_t new_dir, const char *new_name,
              unsigned flags);
int fs_readlink(struct fs *fs, uint64_t ino, char *out,
                size_t size); /* the length; no NUL is added */

/* ------------------------------------------------------------------------------------------------
 * attributes */

int fs_getattr(struct fs *fs, uint64_t ino, struct stat *st);

enum fs_set {
    FS_SET_MODE = 1,
    FS_SET_UID = 2,
    FS_SET_GID = 4,
    FS_SET_SIZE = 8,
    FS_SET_ATIME = 16,
    FS_SET_MTIME = 32,
    FS_SET_CTIME = 64,
    FS_SET_ATIME_NOW = 128,
    FS_SET_MTIME_NOW = 256,
    /* drop suid, and sgid of group-executables, as a write by an ordinary user does */
    FS_SET_KILL_PRIV = 512,
};
/* A new size or owner, and every write, takes the file's capabilities (security.capability) with
 * it, in the same batch.
 *
 * Sets those of *in that `what` names; *st is the result. ctime becomes now unless FS_SET_CTIME.
 * Setting the size cuts or extends with a hole. */
int fs_setattr(struct fs *fs, uint64_t ino, const struct stat *in, unsigned what, struct stat *st);

/* Somebody has read the file's data, the directory's entries, or the symlink: its atime becomes now
 * where the options say so. The calls that read do not do it themselves: not all who read make an
 * access (O_NOATIME). The new time is in memory only; it reaches the store with the inode's next
 * change, `commit_seconds` later, or when the filesystem is closed, and is lost if that fails.
 * Never waits for the store, never fails. */
void fs_accessed(struct fs *fs, uint64_t ino);
/* Commits the inode's atime now, if it is in memory only (before fs_sync_inode, where that shall
 * include it). If the store does not take it, it stays where it is. */
void fs_store_atime(struct fs *fs, uint64_t ino);

/* ------------------------------------------------------------------------------------------------
 * data */

/* Returns the count; less than size only at the end of the file. Holes read as zeroes. */
ssize_t fs_read(struct fs *fs, uint64_t ino, void *p, size_t size, uint64_t off);
/* All of it, in one batch, or nothing. */
int fs_write(struct fs *fs, uint64_t ino, const void *p, size_t size, uint64_t off, bool kill_priv);
/* fallocate(2). `mode`: 0 or FALLOC_FL_KEEP_SIZE (there is room for that much now, else -ENOSPC;
 * nothing is set aside), FALLOC_FL_PUNCH_HOLE | KEEP_SIZE, FALLOC_FL_ZERO_RANGE with or without
 * KEEP_SIZE: the range reads as zeroes, its whole blocks become holes. Other modes: -EOPNOTSUPP.
 * More than 1,000 blocks go in steps: a crash may leave the first of them done. -EFBIG, -ENODEV (no
 * regular file). */
int fs_fallocate(struct fs *fs, uint64_t ino, int mode, uint64_t off, uint64_t len, bool kill_priv);
/* Where the next data (SEEK_DATA) or hole (SEEK_HOLE) at or behind `off` begins; the end of the
 * file is a hole. -ENXIO at and behind the end, and where no more data comes. */
int64_t fs_seek(struct fs *fs, uint64_t ino, uint64_t off, int whence);
/* copy_file_range(2): the count copied, less than `len` at the end of the file and where `len` is
 * more than a batch should hold (4 MiB); what is copied is one batch. Holes become zeroes. -EINVAL:
 * no regular files, or two ranges of one file that overlap. */
ssize_t fs_copy(struct fs *fs, uint64_t from, uint64_t from_off, uint64_t to, uint64_t to_off,
                size_t len, bool kill_priv);
/* On stable storage: the last change of this inode and everything committed before it. */
int fs_sync_inode(struct fs *fs, uint64_t ino);
int fs_sync_all(struct fs *fs);

/* fs_sync_inode for threads that may not sleep: `done` is called once with the result, in this call
 * or later in whatever thread leads the flush; it must not wait. Set `done` and `urgent`, leave the
 * rest alone. Flushes need a thread: somebody must call fs_sync_run as long as fs_sync_needed says
 * so (see store_sync_start in store.h). */
struct fs_sync {
    void (*done)(struct fs_sync *sync, int rc);
    bool urgent; /* as in struct store_writer */
    struct store_writer writer;
};
void fs_sync_start(struct fs *fs, uint64_t ino, struct fs_sync *sync);
enum store_sync_need fs_sync_needed(struct fs *fs);
void fs_sync_run(struct fs *fs);

/* ------------------------------------------------------------------------------------------------
 * directories */

struct fs_dir;
int fs_opendir(struct fs *fs, uint64_t ino, struct fs_dir **out);
void fs_closedir(struct fs *fs, struct fs_dir *d);
enum fs_dir_plus {
    FS_DIR_NAMES,   /* no entry is looked up */
    FS_DIR_PLUS,    /* every one but "." and ".." is */
    FS_DIR_PLUS_NEW /* as PLUS, but not those that the caller has references to, as long as there is
                       no sign that it drops some: a kernel needs them no second time */
};
struct fs_dirent {
    const char *name;
    const struct stat *st; /* not looked up: only st_ino and the type in st_mode count */
    uint64_t next;         /* the position behind the entry */
    bool looked_up; /* when `each` returns true the caller has one reference more to the inode */
};
/* Calls `each` for entries from position `off` on (0: the start, "." and ".." first) until it
 * returns false. What stays during the listing is given exactly once. */
typedef bool (*fs_dir_each)(void *arg, const struct fs_dirent *e);
int fs_readdir(struct fs *fs, struct fs_dir *d, uint64_t off, enum fs_dir_plus plus,
               fs_dir_each each, void *arg);

/* ------------------------------------------------------------------------------------------------
 * attributes by name */

int fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value,
                size_t size); /* length; -ERANGE, -ENODATA */
/* An access ACL (system.posix_acl_access) changes the mode as well, and one that says no more than
 * a mode is not kept. flags: XATTR_CREATE, XATTR_REPLACE; FS_XATTR_KILL_SGID: with an access ACL
 * sgid goes, as when somebody outside the group changes the mode. */
#define FS_XATTR_KILL_SGID (1 << 16)
int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t size,
                int flags);
/* Names, each with its NUL; length; -ERANGE. Without `trusted` those of that namespace are left
 * out: who may not read them does not see them either. */
int fs_listxattr(struct fs *fs, uint64_t ino, char *list, size_t size, bool trusted);
/* -ENODATA: there is none of that name. An ACL that is not there is gone already: 0. */
int fs_removexattr(struct fs *fs, uint64_t ino, const char *name);

/* ------------------------------------------------------------------------------------------------
 * the whole */

struct statvfs;
/* Space is that of the disk the folder is on. f_files - f_ffree is how many inodes there are, those
 * included that are open without a name. After a crash it is an estimate (the count of the last
 * clean close, and what changed since the open) until a thread has counted them. */
int fs_statfs(struct fs *fs, struct statvfs *out);
/* Reads every table and every record of a filesystem that nobody uses, and sees whether they belong
 * together. `report` gets a line for each finding. Returns how many, or a negative error. */
int fs_check(struct fs *fs, void (*report)(void *arg, const char *line), void *arg);
/* A number that is this filesystem's own (never 0): handles of another one, mounted in the same
 * place, are told apart by it. */
uint32_t fs_generation(const struct fs *fs);
struct store *fs_store(struct fs *fs); /* for counters and tests */

#endif
