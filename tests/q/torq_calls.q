// TorQ's calls that change its permission tables, written for these tests: `table,:row` in a function is another thing
// in the interpreter. Loaded after permissions.q or in its place; the names and their meaning are TorQ's, the code is not.

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
.pm.grantfunction:{[o;r;p] `.pm.function insert (o;r;p);}
.pm.grantaccess:{[o;e;l] `.pm.access insert (o;e;l);}
.pm.createvirtualtable:{[n;t;w] `.pm.virtualtable upsert (n;t;w);}
