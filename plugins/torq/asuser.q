// asuser.q - an example: a gateway of TorQ asks an rdb or hdb as the person whose query it is, not as itself. The process
// behind then judges that person by a session of his own there (.z.u, .pm, .sessiond.who .z.w), which ends with his
// session here. Load it on the gateway after the hook (`-load .../sessiond.q .../asuser.q`). Both processes have the hook;
// sessiond's configuration has a table [tickets] whose `audiences` are the processes behind.

\d .asuser

handles:([session:0#0Ng; server:0#`] handle:0#0Ni; of:0#0Ni)    // of: whose handle here it was opened for

open:{[h;server]                                                // the handle to a server by its procname; opened once for each person
  s:.sessiond.who[h]`session;
  if[not -2h=type s; '"asuser: come with a token: there is nobody to be there"];
  if[(w:handles[(s;server);`handle]) in key .z.W; :w];
  place:exec first hpup from .servers.SERVERS where procname=server;
  if[null place; '"asuser: no such server: ",string server];
  w:.sessiond.hopen[h;(place;.servers.HOPENTIMEOUT)];
  `.asuser.handles upsert (s;server;w;h);
  w}
query:{[servertype;query]                                       // for people: what one server of the type answers to who asks
  server:.servers.getserverbytype[servertype;`procname;`roundrobin];
  if[not -11h=type server; '"asuser: no server of this type is up"];
  open[.z.w;server] query}

left:{[h]                                                       // a person, or a server that ended his session
  theirs:exec handle from handles where of=h;
  delete from `.asuser.handles where (of=h)|handle=h;
  {[h] @[hclose;h;::]} each theirs except h;}
.dotz.set[`.z.pc;{[was;h] left h; was h}[value .dotz.getcommand`.z.pc]]
.dotz.set[`.z.wc;{[was;h] left h; was h}[value .dotz.getcommand`.z.wc]]

\d .
