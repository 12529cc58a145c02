/* Any bytes as a log: the reader ends, and every record it gives lies where the file says. */
#include "../log/log_reader.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env *disk = env_sim_new();
    struct log_reader r;
    struct slice record;
    uint64_t end = 0;
    fuzz_put(disk, "/log", data, size);
    if (log_reader_open(&r, disk, "/log") == 0) {
        while (log_read(&r, &record) == 1) {
            if (r.record_end <= end || r.record_end > size || record.len > size)
                abort();
            end = r.record_end;
        }
        if (r.end == LOG_END_NONE)
            abort();
        log_reader_close(&r);
    }
    env_sim_free(disk);
    return 0;
}
