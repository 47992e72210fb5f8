/* A team of threads that go through the blocks of a run together, many short runs a call: they wait for each other without sleeping
 * for long. Without threads of POSIX all is done by the caller. */
#ifndef AEZIP_TEAM_H
#define AEZIP_TEAM_H

#include "common.h"

typedef void (*Task)(void *about, int64_t member, int64_t start, int64_t stop);

#define MOST_MEMBERS 16
#define FEWEST_EACH 4  /* blocks of a member from which company pays */
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
    atomic_long round, left;
    atomic_int over;
    Task task;
    void *about;
    int64_t count;
    Member others[MOST_MEMBERS];
};

static void share(Team *team, int64_t member) {
    int64_t start = team->count * member / team->members, stop = team->count * (member + 1) / team->members;
    if (start < stop) team->task(team->about, member, start, stop);
}

static void *follow(void *given) {
    Member *me = given;
    Team *team = me->team;
    for (long seen = 0;; seen++) {
        for (int64_t spins = 0; atomic_load_explicit(&team->round, memory_order_acquire) == seen; spins++)
            if (spins > SPINS) sched_yield();
        if (atomic_load_explicit(&team->over, memory_order_acquire)) return NULL;
        share(team, me->number);
        atomic_fetch_sub_explicit(&team->left, 1, memory_order_release);
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
    team->task = task, team->about = about, team->count = count;
    atomic_store_explicit(&team->left, team->members - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&team->round, 1, memory_order_release);
    share(team, 0);
    for (int64_t spins = 0; atomic_load_explicit(&team->left, memory_order_acquire); spins++)
        if (spins > SPINS) sched_yield();
}

static void dismiss_team(Team *team) {
    atomic_store_explicit(&team->over, 1, memory_order_release);
    atomic_fetch_add_explicit(&team->round, 1, memory_order_release);
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
