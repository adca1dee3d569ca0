/* metrics.h - what the server has done since it started, for /metrics. Any thread may add. */
#ifndef HW_SERVE_JOBS_METRICS_H
#define HW_SERVE_JOBS_METRICS_H

#include "export/text_buffer.h"
#include "serve/protocol/task_kind.h"

#include <stdatomic.h>

enum { N_STATUS_CLASSES = 6 }; /* [0] unused, [2] for 200 to 299 ... */

typedef struct metrics {
    atomic_ulong requests[N_STATUS_CLASSES];
    atomic_ulong jobs_done[N_TASK_KINDS], jobs_failed[N_TASK_KINDS];
    atomic_ulong prompt_tokens, completion_tokens;
    atomic_ulong busy_ms;       /* time in which a job ran */
    atomic_ulong engine_starts; /* of the engine process */
    atomic_bool engine_ready;
} metrics;

void metrics_count_request(metrics *m, unsigned status);
/* All as Prometheus reads them. `jobs`: waiting and running ones. */
void metrics_write(buffer *out, const metrics *m, size_t jobs);

#endif
