/* batch.h -- one batch of the writer: saved, however many tries it takes.
 *
 * The batch stands in struct kc_writer (`batch`, `definitions`, `flush`, `pending`), so
 * that it survives the thread. Private to the writer's files.
 *
 * Threads: the writer's thread, or its starter while there is none.
 * Owns:    nothing; the blocks of a batch are the writer's until they are given back.
 * Fails:   kc_batch_save() with false; the reasons are in the writer's `error_text`.
 */

#ifndef KC_BATCH_H
#define KC_BATCH_H

#include "plain/writer.h"

enum kc_writer_state {
    KC_WRITER_RUNNING = 1,
    KC_WRITER_STOPPED = 2,
    KC_WRITER_FAILED = 3
};

/* Whether there is anything that SQLite does not have. */
bool kc_batch_has_work(const struct kc_writer *writer);

/* Save the batch and give its blocks back; false when the time to stop was over before
 * it worked: then the batch is as it was. */
bool kc_batch_save(struct kc_writer *writer);

/* Where somebody has removed the segment, write it anew; false where that fails. */
bool kc_batch_restore_removed(struct kc_writer *writer);

/* Go on in a new segment, where this one has grown past its limit. */
void kc_batch_rotate_if_due(struct kc_writer *writer);

/* The size at which a segment rotates that has `size` bytes now. */
void kc_batch_set_rotate_bytes(struct kc_writer *writer, uint64_t size);

void kc_batch_note_failure(struct kc_writer *writer, const char *text);
void kc_batch_set_state(struct kc_writer *writer, enum kc_writer_state state,
                        int error);
void kc_batch_renew_cpu(struct kc_writer *writer);

/* Both clocks now, and where a reader or a recovery finds them. */
void kc_batch_renew_anchor(struct kc_writer *writer, uint64_t *anchor_ns,
                           uint64_t *anchor_utc_ns);

#endif
