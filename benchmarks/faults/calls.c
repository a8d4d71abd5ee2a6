/* Preloaded: counts the system calls that change files below one folder, and kills the process or fails the call
   at the n-th. Nothing is counted before arm() is called, which a forked child does. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT, KILL, FAIL_ONCE, FAIL_FROM };

static char folder[PATH_MAX];
static size_t prefix;
static int action, number, error_number;
static volatile int counted;

/* The calls are written here, one name a line; -1 for nowhere. */
static int record = -1;

int calls_counted(void) { return counted; }

void arm(const char *path, int what, int nth, int error, const char *log) {
    snprintf(folder, sizeof folder, "%s", path);
    prefix = strlen(folder);
    action = what;
    number = nth;
    error_number = error;
    counted = 0;
    record = log && *log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
}

static int below(const char *path) {
    return prefix && !strncmp(path, folder, prefix) && (path[prefix] == '/' || !path[prefix]);
}

static int handle_below(int handle) {
    char link[64], path[PATH_MAX];
    if (!prefix || handle < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int path_below(int at, const char *path) {
    char whole[PATH_MAX];
    if (!prefix) return 0;
    if (path[0] == '/') return below(path);
    if (at != AT_FDCWD) return handle_below(at);
    return getcwd(whole, sizeof whole) && below(whole);
}

/* Whether this call must fail; kills the process before it if so asked. On a full disk only what takes room fails. */
static int struck(const char *name, const char *path, int takes_room) {
    int n = __sync_add_and_fetch(&counted, 1);
    if (record >= 0) dprintf(record, "%s %s\n", name, path);
    if (action == KILL && n == number) kill(getpid(), SIGKILL);
    if (action == FAIL_ONCE ? n == number : action == FAIL_FROM && n >= number)
        if (error_number != ENOSPC || takes_room) {
            errno = error_number;
            return 1;
        }
    return 0;
}

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define CHANGES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        REAL(#symbol, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (flags & CHANGES && path_below(AT_FDCWD, path) && struck("open", path, flags & O_CREAT)) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
    int symbol(int at, const char *path, int flags, ...) { \
        REAL(#symbol, int, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (flags & CHANGES && path_below(at, path) && struck("open", path, flags & O_CREAT)) return -1; \
        return real(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

/* A process that is killed while it writes has written half. */
ssize_t write(int handle, const void *data, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    if (handle != record && handle_below(handle)) {
        if (action == KILL && counted + 1 == number) real(handle, data, size / 2);
        if (struck("write", "", 1)) {
            if (error_number == ENOSPC && action == FAIL_FROM && counted == number && size > 1)
                return real(handle, data, size / 2);
            return -1;
        }
    }
    return real(handle, data, size);
}

#define ON_HANDLE(symbol, takes_room) \
    int symbol(int handle) { \
        REAL(#symbol, int, int); \
        if (handle_below(handle) && struck(#symbol, "", takes_room)) return -1; \
        return real(handle); \
    }
ON_HANDLE(fsync, 1)
ON_HANDLE(fdatasync, 1)

#define TRUNCATE(symbol, type) \
    int symbol(int handle, type size) { \
        REAL(#symbol, int, int, type); \
        if (handle_below(handle) && struck("ftruncate", "", 0)) return -1; \
        return real(handle, size); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SENDFILE(symbol, type) \
    ssize_t symbol(int to, int from, type *offset, size_t size) { \
        REAL(#symbol, ssize_t, int, int, type *, size_t); \
        if (handle_below(to) && struck("write", "", 1)) return -1; \
        return real(to, from, offset, size); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    if (path_below(AT_FDCWD, path) && struck("mkdir", path, 1)) return -1;
    return real(path, mode);
}

#define ON_PATH(symbol) \
    int symbol(const char *path) { \
        REAL(#symbol, int, const char *); \
        if (path_below(AT_FDCWD, path) && struck(#symbol, path, 0)) return -1; \
        return real(path); \
    }
ON_PATH(unlink)
ON_PATH(rmdir)

int unlinkat(int at, const char *path, int flags) {
    REAL("unlinkat", int, int, const char *, int);
    if (path_below(at, path) && struck(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path, 0)) return -1;
    return real(at, path, flags);
}

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    if (path_below(AT_FDCWD, to) && struck("rename", to, 0)) return -1;
    return real(from, to);
}
