/* A team of threads that go through the blocks of a run together, many short runs a call: they wait for each other without sleeping
 * for long. Without threads of POSIX all is done by the caller. */
#ifndef AEZIP_TEAM_H
#define AEZIP_TEAM_H

#include "common.h"

typedef void (*Task)(void *about, int64_t member, int64_t start, int64_t stop);

#define MOST_MEMBERS 16
#define FEWEST_EACH 4  /* blocks of a member from which company pays */
#define SHARES 4       /* that each member's blocks are taken in: who is late leaves some to the others */
#define SPINS 2000     /* looks at a counter before the processor is offered to others */

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

typedef struct Team Team;

typedef struct {
    Team *team;
    int64_t number;
    pthread_t thread;
} Member;

struct Team {
    int64_t members; /* the caller among them */
    _Atomic uint64_t round; /* of a task; in the low half the next block that nobody has taken */
    _Atomic int64_t done;   /* blocks */
    _Atomic int over;
    _Atomic(Task) task;
    _Atomic(void *) about;
    _Atomic int64_t count, each;
    Member others[MOST_MEMBERS];
};

#define NEXT(round) ((int64_t)((round) & 0xFFFFFFFFu))

static void share(Team *team, int64_t member) {
    /* Do blocks until none is left. Who comes late finds none: nobody waits for a thread that does not run. */
    uint64_t round = atomic_load_explicit(&team->round, memory_order_acquire);
    for (;;) {
        int64_t start = NEXT(round), count = team->count, stop = least(start + team->each, count);
        Task task = team->task;
        void *about = team->about;
        if (start >= count) return;
        /* If the round is as it was, so is what was read: it changes only when all blocks were taken. */
        if (!atomic_compare_exchange_weak_explicit(&team->round, &round, round + (uint64_t)(stop - start), memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        task(about, member, start, stop);
        atomic_fetch_add_explicit(&team->done, stop - start, memory_order_release);
        round = atomic_load_explicit(&team->round, memory_order_acquire);
    }
}

static void *follow(void *given) {
    Member *me = given;
    Team *team = me->team;
    for (;;) {
        uint64_t seen = atomic_load_explicit(&team->round, memory_order_acquire);
        if (atomic_load_explicit(&team->over, memory_order_acquire)) return NULL;
        share(team, me->number);
        for (int64_t spins = 0; atomic_load_explicit(&team->round, memory_order_acquire) >> 32 == seen >> 32; spins++)
            if (spins > SPINS) sched_yield();
    }
}

static void gather_team(Team *team, int64_t members) {
    /* Start the threads; as many as could be had. */
    memset(team, 0, sizeof *team);
    team->members = 1;
    for (int64_t k = 1; k < least(members, MOST_MEMBERS); k++) {
        Member *one = &team->others[team->members];
        one->team = team, one->number = team->members;
        if (pthread_create(&one->thread, NULL, follow, one)) break;
        team->members++;
    }
}

static void together(Team *team, Task task, void *about, int64_t count) {
    /* Do a task for `count` blocks, each once. */
    if (team->members < 2 || count < FEWEST_EACH * team->members) {
        task(about, 0, 0, count);
        return;
    }
    team->task = task;
    team->about = about;
    team->count = count;
    team->each = most(1, count / (SHARES * team->members));
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    uint64_t round = atomic_load_explicit(&team->round, memory_order_relaxed);
    atomic_store_explicit(&team->round, ((round >> 32) + 1) << 32, memory_order_release);
    share(team, 0);
    for (int64_t spins = 0; atomic_load_explicit(&team->done, memory_order_acquire) < count; spins++)
        if (spins > SPINS) sched_yield();
}

static void dismiss_team(Team *team) {
    atomic_store_explicit(&team->over, 1, memory_order_release);
    atomic_fetch_add_explicit(&team->round, (uint64_t)1 << 32, memory_order_release);
    for (int64_t k = 1; k < team->members; k++) pthread_join(team->others[k].thread, NULL);
}

#else

typedef struct {
    int64_t members;
} Team;

static void gather_team(Team *team, int64_t members) { (void)members, team->members = 1; }
static void together(Team *team, Task task, void *about, int64_t count) { (void)team, task(about, 0, 0, count); }
static void dismiss_team(Team *team) { (void)team; }

#endif
#endif
