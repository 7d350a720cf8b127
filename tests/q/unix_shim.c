/* Lets a q-compatible interpreter that knows no unix:// reach sessiond: a connect() to TCP port $KXPORT becomes one
   to the abstract name ${QUDSPATH:-/tmp}/kx.$KXPORT, made by the interpreter's own process, so that the peer
   credentials which sessiond sees are the interpreter's. Not used with kdb+, which knows unix:// itself.

   Built by the tests: cc -shared -fPIC -O2 -o unix_shim.so unix_shim.c -ldl
   Used as:            KXPORT=5099 LD_PRELOAD=./unix_shim.so q app.q      and there  hopen `::5099 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef int connect_function(int, const struct sockaddr *, socklen_t);

static int leads_to_sessiond(const struct sockaddr *address) {
    const char *port = getenv("KXPORT");
    return port && address->sa_family == AF_INET &&
           ntohs(((const struct sockaddr_in *)address)->sin_port) == atoi(port);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    connect_function *real = (connect_function *)dlsym(RTLD_NEXT, "connect");
    if (!leads_to_sessiond(address))
        return real(fd, address, length);

    const char *directory = getenv("QUDSPATH");
    struct sockaddr_un name = {.sun_family = AF_UNIX}; /* sun_path[0] stays NUL: an abstract name */
    int room = sizeof name.sun_path - 1;
    int size = snprintf(name.sun_path + 1, room, "%s/kx.%s", directory && *directory ? directory : "/tmp",
                        getenv("KXPORT"));
    if (size >= room) {
        errno = ENAMETOOLONG;
        return -1;
    }

    int flags = fcntl(fd, F_GETFL);
    int replacement = socket(AF_UNIX, SOCK_STREAM, 0);
    if (replacement < 0)
        return -1;
    if (real(replacement, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 1 + size)) {
        int why = errno;
        close(replacement);
        errno = why;
        return -1;
    }
    fcntl(replacement, F_SETFL, flags); /* the interpreter may have made its socket non-blocking */
    dup2(replacement, fd);
    close(replacement);
    return 0;
}
