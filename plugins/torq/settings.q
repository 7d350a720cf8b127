// Example settings of the sessiond hook, TorQ's way: copy what you change into ${KDBAPPCONFIG}/settings/default.q, or
// into the file of a process type or of one process, which are read later and win. Without TorQ set the same names
// before sessiond.q is loaded. What is here are the defaults; README.md says more of each.

\d .sessiond

port:5099                       // the daemon's [listen] port; the directory is q's own $QUDSPATH, or /tmp
name:`                          // what the daemon calls this process; ` = TorQ's procname
timeout:500                     // milliseconds that hopen may take
retry:0D00:00:01                // between two attempts to reach the daemon
maxretry:0D00:00:30             // the most between two, after attempts that took time or met no proof

proof:1b                        // send no token to a daemon that has not proved itself; needs kdb+ 4.0 of 2020.03.17
proofkey:`:/etc/sessiond/proof  // the key of that proof, the same file as the daemon's proof_key_file (no default)

passwords:`                     // a file of plain passwords in q's -u format, e.g. `:/etc/kdb/passwords
earlier:`detect                 // the .z.pw that was there before: `detect whether it checks, `trust it, `ignore it
fallback:0b                     // 1b = where nothing checks plain passwords, everybody is accepted

assign:`role                    // with .pm.enabled: a token's role is a .pm `role (assignrole) or `group (addtogroup)
backend:0b                      // 1b on an rdb or hdb: people who logged in at a gateway have their roles here, too
linger:0D01:00:00               // how long these keep them while the daemon is away
web:0b                          // 1b = people come by HTTP with tokens and by their browser; needs kdb+ 4.0 of 2021.07.12
webcache:0D00:01:00             // how long a verdict on them is kept here, at most
unopened:0D00:00:10             // as the daemon's [login] unbound: how long a login may wait for .z.po
pace:0D00:00:01                 // the least between two renewals of one session
audiences:(0#`)!0#`             // what processes are called, for .sessiond.hopen, e.g. (`:rdbhost:5010;`:unix://5011)!`rdb1`hdb1

// Tokens pass the usage log and the permissions only asynchronously. The hook adds its names to these lists by
// itself; if you set the lists in a file that is read after the hook, add them there:
// \d .usage
// ignorelist:(`upd;"upd";`.sessiond.upd;".sessiond.upd";`.sessiond.renew;".sessiond.renew";`.sessiond.tick;".sessiond.tick")
// \d .zpsignore
// ignorelist:(`upd;"upd";`.u.upd;".u.upd";`.sessiond.upd;".sessiond.upd";`.sessiond.renew;".sessiond.renew")

\d .
