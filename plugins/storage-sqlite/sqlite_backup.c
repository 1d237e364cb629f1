/* A copy of the whole store as of one moment, while it is in use. Opened as a store it is a restore: it says of itself
 * that it is a backup, and open then raises its epoch. Before a backup is put in place of a database, the daemon is
 * stopped and the database's own -wal and -shm files are removed. */
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_PAGES 500

/* The copy is one file without a WAL, marked, and read once over. */
static int
finish(sqlite3 *db, const char *name, struct pim_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_exec(db,
                          "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;"
                          "INSERT OR REPLACE INTO store (name, value) VALUES ('is_backup', 1)",
                          NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0)
        rc = PIM_OK;
    else
        rc = pim_sq_err(err, rc == SQLITE_FULL ? PIM_ERR_FULL : PIM_ERR_CORRUPT, "the backup %s is not good: %s", name,
                        stmt != NULL && rc == SQLITE_OK ? (const char *)sqlite3_column_text(stmt, 0)
                                                        : sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    return rc;
}

static int
copy(struct pim_conn *conn, sqlite3 *to, struct pim_err *err)
{
    sqlite3_backup *backup;
    bool began;
    int rc = pim_sq_snap_begin(conn, &began, err), step;

    if (rc == PIM_OK)
        rc = pim_sq_exec(conn, "SELECT 1 FROM sqlite_schema LIMIT 1", err); /* the moment is now */
    backup = rc == PIM_OK ? sqlite3_backup_init(to, "main", conn->db, "main") : NULL;
    if (rc == PIM_OK && backup == NULL)
        rc = pim_sq_err(err, PIM_ERR_INTERNAL, "backup: %s", sqlite3_errmsg(to));
    while (rc == PIM_OK) {
        step = sqlite3_backup_step(backup, STEP_PAGES);
        if (step == SQLITE_DONE)
            break;
        if (step != SQLITE_OK && step != SQLITE_BUSY && step != SQLITE_LOCKED)
            rc = pim_sq_err(err, (step & 0xff) == SQLITE_FULL ? PIM_ERR_FULL : PIM_ERR_INTERNAL, "backup: %s",
                            sqlite3_errstr(step));
        else
            rc = pim_sq_stopped(conn, err);
    }
    sqlite3_backup_finish(backup);
    pim_sq_snap_end(conn, began);
    return rc;
}

static int
sync_both(const char *name, struct pim_err *err)
{
    char *dir = strdup(name);
    int fd = open(name, O_RDONLY | O_CLOEXEC), rc = PIM_OK;
    int dir_fd = dir != NULL ? open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0 || fsync(fd) != 0 || dir_fd < 0 || fsync(dir_fd) != 0)
        rc = pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the backup %s cannot be synced: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
    free(dir);
    return rc;
}

int32_t
pim_sq_backup(struct pim_conn *conn, const struct pim_call *call, const char *path, struct pim_err *err)
{
    char part[4096];
    sqlite3 *to = NULL;
    int fd, rc = pim_sq_enter(conn, call, false, err);

    if (rc != PIM_OK)
        return rc;
    if (conn->in_group)
        return pim_sq_err(err, PIM_ERR_INVALID, "backup within a group");
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return pim_sq_err(err, PIM_ERR_INVALID, "the backup's path is too long");
    unlink(part);
    fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the backup %s cannot be made: %s", part, strerror(errno));
    close(fd);
    if (sqlite3_open_v2(part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rc = pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the backup %s cannot be opened", part);
    if (rc == PIM_OK)
        rc = copy(conn, to, err);
    if (rc == PIM_OK)
        rc = finish(to, part, err);
    sqlite3_close(to);
    if (rc == PIM_OK)
        rc = sync_both(part, err);
    if (rc == PIM_OK && rename(part, path) != 0)
        rc = pim_sq_err(err, PIM_ERR_UNAVAILABLE, "the backup cannot be named %s: %s", path, strerror(errno));
    if (rc == PIM_OK)
        rc = sync_both(path, err);
    if (rc != PIM_OK)
        unlink(part);
    return rc;
}
