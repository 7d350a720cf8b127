// What the hook uses of TorQ, written for these tests: its logger, its .dotz, its permissions tables and calls, its
// usage log and its ignore list. The names and their meaning are TorQ's; the code is not. torq_calls.q comes first.

.lg.o:{[id;text] -1 "INF|",string[id],"|",text;}
.lg.w:{[id;text] -1 "WARN|",string[id],"|",text;}
.lg.e:{[id;text] -1 "ERR|",string[id],"|",text;}
.proc.procname:`rdb1
.proc.proctype:`rdb
.proc.initialised:1b
.proc.cp:{[].z.p}
.dotz.set:{[name;f] set[name;f];}

.pm.enabled:1b
.pm.auth.local:{[u;p] md5[p]~.pm.user[u;`password]}
.pm.login:{[u;p]
  if[not u in exec id from .pm.user; :0b];
  a:.pm.user[u;`authtype];
  $[a=`local;.pm.auth.local[u;p];a=`sessiond;.pm.auth.sessiond[u;p];0b]}
.pm.requ:{[u;x] if[not any (exec role from .pm.userrole where user=u) in `reader`trader; '"pm: user role does not permit"]; value x}
.pm.req:{[x] .pm.requ[.z.u;x]}

.usage.enabled:1b
.usage.ignore:1b
.usage.ignorelist:(`upd;"upd")
.usage.log:{[f;x] if[not any first[x]~/:.usage.ignorelist; -1 "USAGE|",.Q.s1 x]; f x}
.zpsignore.enabled:1b
.zpsignore.ignorelist:(`upd;"upd")

.z.pw:.pm.login
.z.pg:.usage.log[.pm.req]
.z.ps:{[f;x] $[any first[x]~/:.zpsignore.ignorelist;value x;f x]}[.usage.log[.pm.req]]
