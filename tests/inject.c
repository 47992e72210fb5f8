/* Preloaded into a process under test: counts what it does to files, and at a chosen count kills it or lets the call fail.
   armed(n, how): count from now; how 0: only count; 1: die before call n; 2: write half of call n, then die; 3: call n fails;
   4: call n and all later ones fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static volatile long count = -1, at = -1;
static volatile int how = 0;

void armed(long n, int mode) { count = 0; at = n; how = mode; }
long counted(void) { return count; }

static int regular(int fd) {
    struct stat s;
    return fstat(fd, &s) == 0 && (S_ISREG(s.st_mode) || S_ISDIR(s.st_mode));
}

/* 0: go on; 1: write half, then die; 2: fail */
static int event(void) {
    if (count < 0) return 0;
    count++;
    if (how == 4) return count >= at ? 2 : 0;
    if (count != at) return 0;
    if (how == 1) kill(getpid(), SIGKILL);
    return how == 2 ? 1 : how == 3 ? 2 : 0;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define GUARD(fd, half, whole, code) \
    int what = regular(fd) ? event() : 0; \
    if (what == 1) { (void)!(half); kill(getpid(), SIGKILL); } \
    if (what == 2) { errno = code; return -1; } \
    return whole

ssize_t write(int fd, const void *b, size_t n) { REAL(write); GUARD(fd, real(fd, b, n / 2), real(fd, b, n), ENOSPC); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); GUARD(fd, real(fd, b, n / 2, o), real(fd, b, n, o), ENOSPC); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); GUARD(fd, real(fd, b, n / 2, o), real(fd, b, n, o), ENOSPC); }
int fsync(int fd) { REAL(fsync); GUARD(fd, 0, real(fd), EIO); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); GUARD(fd, 0, real(fd, n), EIO); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); GUARD(fd, 0, real(fd, n), EIO); }

#define NAMED(call) int what = event(); if (what == 1) kill(getpid(), SIGKILL); if (what == 2) { errno = EIO; return -1; } return call
int rename(const char *a, const char *b) { REAL(rename); NAMED(real(a, b)); }
int link(const char *a, const char *b) { REAL(link); NAMED(real(a, b)); }
int unlink(const char *a) { REAL(unlink); if (how == 4) return real(a); NAMED(real(a)); }  /* a full disk can be cleared */
