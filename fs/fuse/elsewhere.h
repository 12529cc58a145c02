/* What a thread that serves a ring must not do itself: sleep so that nothing wakes it (in a disk
 * call), or lead a flush. */
#ifndef FS_FUSE_ELSEWHERE_H
#define FS_FUSE_ELSEWHERE_H

#include "internal.h"

/* Runs call(arg) in this thread's companion, made when it is first needed, and waits for it in a
 * sleep that the kernel can interrupt. Without one (no memory) it runs here. */
void elsewhere_run(void (*call)(void *arg), void *arg);
/* Before the thread ends: its companion ends. */
void elsewhere_end(void);

/* The thread runs on that CPU alone from now on; where that is offline, or forbidden to us, as
 * before. */
void stay_on_cpu(pthread_t thread, unsigned number);

/* The thread that leads the flushes of fsyncs. 0 or negative. */
int flusher_start(struct session *s);
/* Somebody has started an fsync: lead its flush soon. Any thread; costs little. */
void flusher_wake(void);
void flusher_end(void);

#endif
