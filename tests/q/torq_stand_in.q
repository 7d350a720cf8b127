// What the hook uses of TorQ, written for these tests: its logger, its .dotz, its permissions tables and calls, its
// usage log and its ignore list. The names and their meaning are TorQ's; the code is not.

.lg.o:{[id;text] -1 "INF|",string[id],"|",text;}
.lg.w:{[id;text] -1 "WARN|",string[id],"|",text;}
.lg.e:{[id;text] -1 "ERR|",string[id],"|",text;}
.proc.procname:`rdb1
.proc.proctype:`rdb
.proc.initialised:1b
.proc.cp:{[].z.p}
.dotz.set:{[name;f] set[name;f];}

.pm.enabled:1b
.pm.user:([id:0#`] authtype:0#`; hashtype:0#`; password:())
.pm.groupinfo:([name:0#`] description:())
.pm.roleinfo:([name:0#`] description:())
.pm.usergroup:([] user:0#`; groupname:0#`)
.pm.userrole:([] user:0#`; role:0#`)
.pm.addgroup:{[n;d] `.pm.groupinfo upsert (n;d);}
.pm.addrole:{[n;d] `.pm.roleinfo upsert (n;d);}
.pm.adduser:{[u;a;h;p] if[u in exec name from .pm.groupinfo; '"pm: cannot add user with same name as existing group"]; `.pm.user upsert (u;a;h;p);}
.pm.removeuser:{[u] delete from `.pm.user where id=u;}
.pm.assignrole:{[u;r] if[not r in exec name from .pm.roleinfo; '"pm: no such role, .pm.addrole first"]; .pm.unassignrole[u;r]; `.pm.userrole insert (u;r);}
.pm.unassignrole:{[u;r] delete from `.pm.userrole where user=u,role=r;}
.pm.addtogroup:{[u;g] if[not g in exec name from .pm.groupinfo; '"pm: no such group, .pm.addgroup first"]; .pm.removefromgroup[u;g]; `.pm.usergroup insert (u;g);}
.pm.removefromgroup:{[u;g] delete from `.pm.usergroup where user=u,groupname=g;}
.pm.auth.local:{[u;p] md5[p]~.pm.user[u;`password]}
.pm.login:{[u;p]
  if[not u in exec id from .pm.user; :0b];
  a:.pm.user[u;`authtype];
  $[a=`local;.pm.auth.local[u;p];a=`sessiond;.pm.auth.sessiond[u;p];0b]}
.pm.req:{[x] if[not any (exec role from .pm.userrole where user=.z.u) in `reader`trader; '"pm: user role does not permit"]; value x}

.usage.enabled:1b
.usage.ignore:1b
.usage.ignorelist:(`upd;"upd")
.usage.log:{[f;x] if[not any first[x]~/:.usage.ignorelist; -1 "USAGE|",.Q.s1 x]; f x}
.zpsignore.enabled:1b
.zpsignore.ignorelist:(`upd;"upd")

.z.pw:.pm.login
.z.pg:.usage.log[.pm.req]
.z.ps:{[f;x] $[any first[x]~/:.zpsignore.ignorelist;value x;f x]}[.usage.log[.pm.req]]
