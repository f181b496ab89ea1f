/* A kernel without IPVS says no to keepalived, which then checks no servers. Preloaded into it, this says yes in the
 * kernel's place to every request about IPVS; all else is keepalived's own doing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { IPVS_FIRST = 0x480, IPVS_INFO = 0x481, IPVS_LAST = 0x4af, IPVS_VERSION = 0x010201 };

static int about_ipvs(int level, int option)
{
    return level == IPPROTO_IP && option >= IPVS_FIRST && option <= IPVS_LAST;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    static int (*real)(int, int, int, void *, socklen_t *);
    if (!real)
        real = dlsym(RTLD_NEXT, "getsockopt");
    if (!about_ipvs(level, option))
        return real(fd, level, option, value, length);
    memset(value, 0, *length);
    if (option == IPVS_INFO)
        *(unsigned *)value = IPVS_VERSION;
    return 0;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    static int (*real)(int, int, int, const void *, socklen_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "setsockopt");
    return about_ipvs(level, option) ? 0 : real(fd, level, option, value, length);
}
