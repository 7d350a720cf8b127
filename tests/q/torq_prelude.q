// What TorQ's torq.q gives its handler files and the interpreter cannot load from it: the logger, the process's names
// and paths. Loaded before them; `.test.permissions` is a directory of files for controlaccess.q.

.lg.o:{[id;text] -1 "INF|",string[id],"|",text;}
.lg.w:{[id;text] -1 "WARN|",string[id],"|",text;}
.lg.e:{[id;text] -1 "ERR|",string[id],"|",text;}
.proc.procname:`rdb1
.proc.proctype:`rdb
.proc.parentproctype:`
.proc.loaded:1b
.proc.initialised:1b
.proc.params:()!()
.proc.cp:{[].z.p}
.proc.cd:{[].z.d}
.proc.createalias:{[directory;name;alias]}
.proc.loadconfig:{[directory;name]}
.proc.getconfigfile:{[name] `$name}
.proc.getconfig:{[path;level] 2#`$":",getenv[`KDBCONFIG],"/",path}
.finspace.enabled:0b
.ldap.enabled:0b
.servers.RETRY:0D00:05                                           // as its own settings say; dotz.q has another default
.test.tokens:{[text] " " vs @[text;where not text in .Q.an,"._";:;" "]}   // as -4!, but for what is no name
