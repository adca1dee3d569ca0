/* test_listener.c - addresses of this machine and of others, and sockets that are opened, refused and left behind. */
#include "support/files.h"
#include "support/fixture.h"

#include "serve/listener.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void only_this_machine_reaches_loopback(void **state) {
    (void)state;
    static const char *const local[] = {"127.0.0.1", "127.255.255.254", "::1"};
    static const char *const others[] = {"0.0.0.0", "128.0.0.1", "10.0.0.1", "::", "::2", "fe80::1", "::ffff:10.0.0.1"};
    static const char *const none[] = {"",      "localhost",   "127.1",        "127.0.0.1 ", "127.0.0.256",
                                       "[::1]", "example.org", "127.0.0.1:80", "2130706433", "::1%lo"};
    for (size_t i = 0; i < COUNT(local); i++) assert_true(listener_is_address(local[i]) && listener_is_local(local[i]));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_true(listener_is_address(others[i]) && !listener_is_local(others[i]));
    for (size_t i = 0; i < COUNT(none); i++) assert_true(!listener_is_address(none[i]) && !listener_is_local(none[i]));
}

static void addresses_are_shown_as_browsers_take_them(void **state) {
    (void)state;
    char text[64];
    listener l = {.host = NULL};
    listener_describe(text, sizeof text, &l, 4780);
    assert_string_equal(text, "http://127.0.0.1:4780/");
    l.host = "::1";
    listener_describe(text, sizeof text, &l, 80);
    assert_string_equal(text, "http://[::1]:80/");
    l.path = "/run/headwater";
    listener_describe(text, sizeof text, &l, 0);
    assert_string_equal(text, "unix:/run/headwater");
    listener_describe(text, 9, &l, 0);
    assert_string_equal(text, "unix:/ru");
}

static int opened(const listener *l) {
    hw_error err;
    int fd = listener_open(l, &err);
    if (fd < 0) fail_msg("%s", err.msg);
    return fd;
}

static void a_port_is_taken_once(void **state) {
    (void)state;
    hw_error err;
    struct sockaddr_in there;
    socklen_t n = sizeof there;
    listener l = {.port = 0};
    int fd = opened(&l);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&there, &n), 0);
    assert_int_equal(ntohl(there.sin_addr.s_addr), INADDR_LOOPBACK);
    l.port = ntohs(there.sin_port);
    assert_true(l.port > 0);
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_IO, "the port is in use");
    close(fd);
    close(opened(&l)); /* free again at once */
}

static void an_address_of_another_machine_is_refused(void **state) {
    (void)state;
    hw_error err;
    listener l = {.host = "192.0.2.1"}; /* of documentation: no machine has it */
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_IO, "192.0.2.1:0");
}

static int connected(const char *path) {
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    strcpy(there.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&there, sizeof there) == 0) return fd;
    close(fd);
    return -1;
}

static void a_socket_file_is_its_owners(void **state) {
    (void)state;
    hw_error err;
    struct stat info;
    const char *path = temp_path("socket");
    listener l = {.path = path};
    mode_t before = umask(0);
    int fd = opened(&l);
    assert_int_equal(umask(before), 0); /* as it was */
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode) && (info.st_mode & 0777) == 0600);
    int client = connected(path);
    assert_true(client >= 0);
    assert_int_equal(listener_open(&l, &err), -1); /* a server listens there */
    assert_error(&err, err.code, HW_ERR_IO, path);
    close(client);
    close(fd);
    fd = opened(&l); /* nobody listens any more: as after a kill */
    close(fd);
    listener_remove(&l);
    assert_int_not_equal(lstat(path, &info), 0);
}

static void other_files_stay(void **state) {
    (void)state;
    hw_error err;
    char link[4096];
    const char *path = temp_path("notes");
    write_bytes(path, "mine", 4);
    listener l = {.path = path};
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_IO, "notes");
    assert_true(same_file(path, "mine", 4));
    snprintf(link, sizeof link, "%s", temp_path("link"));
    assert_int_equal(symlink(path, link), 0);
    l.path = link;
    assert_int_equal(listener_open(&l, &err), -1);
    assert_true(same_file(path, "mine", 4));
    temp_clear();
}

static void paths_that_do_not_fit_are_refused(void **state) {
    (void)state;
    hw_error err;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path + 1];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    listener l = {.path = path};
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_ARGUMENT, "1 to 107 bytes");
    l.path = "";
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_ARGUMENT, "1 to 107 bytes");
    l.path = "/nowhere/socket";
    assert_int_equal(listener_open(&l, &err), -1);
    assert_error(&err, err.code, HW_ERR_IO, "No such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_machine_reaches_loopback),
        cmocka_unit_test(addresses_are_shown_as_browsers_take_them),
        cmocka_unit_test(a_port_is_taken_once),
        cmocka_unit_test(an_address_of_another_machine_is_refused),
        cmocka_unit_test(a_socket_file_is_its_owners),
        cmocka_unit_test(other_files_stay),
        cmocka_unit_test(paths_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
