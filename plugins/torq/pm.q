// pm.q - TorQ's permissions: the hook gives the user of a token a row and roles in .pm, and takes back what it gave.
// .pm judges by .z.u, so this is kept by user, not by handle. Rights are those of the user's newest token here, else those
// that he has elsewhere (backend.q).
// Then TorQ's older access lists (.access), and its logs, where no token may go.

\d .sessiond

passing:(`.sessiond.upd;".sessiond.upd";`.sessiond.renew;".sessiond.renew")   // called async, past .pm and the usage log
timed:(`.sessiond.tick;".sessiond.tick")                        // by TorQ's timer through .z.ps: past the usage log only
rows:0#`                                                        // users whose row in .pm.user the hook made
given:([] user:0#`; role:0#`)                                   // what the hook gave

pm:{[] @[value;`.pm.enabled;0b]}

// may these names log in by token? Not if .pm knows them by another authtype, nor if they are groups'
permitted:{[users]
  if[not pm[]; :users=users];
  taken:(exec name from .pm.groupinfo),exec id from .pm.user where id in users,not authtype=`sessiond;
  not null[users] or users in taken}

// .pm's calls change one user at a time, and each looks through all of them: ten thousand people at once would hold q for
// minutes. So its tables are changed here, as .pm.adduser, .pm.removeuser, .pm.assignrole (.pm.addtogroup) and
// .pm.unassignrole (.pm.removefromgroup) would, checks included, for many or for one alike.
bygroup:{[] assign~`group}
assigned:{[] $[bygroup[];`.pm.usergroup;`.pm.userrole]}         // a table of .pm: user, and a group or a role
exists:{[roles] roles in $[bygroup[];exec name from .pm.groupinfo;exec name from .pm.roleinfo]}
symbols:{[x] (1_`,x) except `}                                  // also of (), which nothing grouped and razed is
per:{[users;pairs] symbols each (exec role by user from pairs where user in users) users}
pairs:{[users;roles] ([] user:symbols raze (count each roles)#'users; role:symbols raze roles)}
ungiven:0#`                                                     // roles that .pm does not know, each said once
unknownrole:{[r]
  if[r in ungiven; :()];
  warn string[r]," was not given: pm: no such ",$[bygroup[];"group, .pm.addgroup first";"role, .pm.addrole first"];
  .sessiond.ungiven,:r;}

rolesdue:{[users]                                               // who of these is here or elsewhere, and what he is to have
  elsewhere:exec user!roles from standing where user in users;
  elsewhere,exec last roles by user from `order xasc select user,roles,order from sessions where user in users}
// make .pm agree with the maps for these users; whom of them .pm would not have
settle:{[users]
  users:distinct users,();
  if[(not pm[]) or 0=count users; :0#`];
  roles:rolesdue users;
  here:users in key roles;
  fit:permitted users;
  add users where here and fit;
  had:per[users;given];
  want:{[roles;u;has] $[has;distinct symbols roles u;0#`]}[roles]'[users;here and fit];
  new:(want except' had) except' per[users;`user`role xcol value assigned[]];   // what was there before is not ours
  named:distinct symbols raze new;
  ours:named where exists named;
  unknownrole each named except ours;
  new:new inter\: ours;
  take pairs[users;had except' want];
  assigned[] insert value flip pairs[users;new];
  now:(had inter' want),'new;
  if[not had~now; .sessiond.given:(delete from given where user in users),pairs[users;now]];
  remove users where fit and not here;
  users where here and not fit}
add:{[users]
  users:users except exec id from .pm.user;
  if[0=n:count users; :()];
  `.pm.user upsert ([id:users] authtype:n#`sessiond; hashtype:n#`; password:n#enlist "none");
  .sessiond.rows,:users;}
take:{[taken]
  if[0=count taken; :()];
  roles:exec role by user from taken;
  held:`user`role xcol value assigned[];
  at:exec i from held where user in key roles;
  at:at where held[`role][at] in' roles held[`user] at;
  assigned[] set (value assigned[])(til count held) except at;}
remove:{[users]                                                 // the row alone: what the administrator gave to the name stays
  users:users inter rows;
  if[0=count users; :()];
  delete from `.pm.user where id in users;
  .sessiond.rows:rows except users;}

// ---- controlaccess.q: names and hosts, judged by its .z.pw; of a token that .z.pw is not asked, so its lists are ----
access:{[] @[value;`.access.enabled;0b]}
admitted:{[u] $[access[];1b~.[.access.vpw;(u;"");{[e] err ".access: ",e; 0b}];1b]}
beyondaccess:{[f;x]                                             // what this .z.pw says where .access lets everybody in: it
  if[not access[]; :.[f;x;0b]];                                 // judges no password, so it makes a check of nothing
  was:.access.vpw; .access.vpw:{[u;p] 1b};
  r:.[f;x;0b];
  .access.vpw:was;
  r}

// ---- logs ----
masked:{[x]                                                     // what .z.ph and the like are given: the request; its headers
  if[not 99h=type headers:last x; :x];
  @[x;-1+count x;:;key[headers]!hidden'[key headers;value headers]]}
hidden:{[name;text]                                             // it has been judged, and nobody else needs it
  name:lower $[10h=type name;name;string name];
  if[any name~/:("authorization";"proxy-authorization"); :"***"];
  if[not name~"cookie"; :text];
  $[10h=type text;";" sv hiddencookie each cookies text;"***"]}
hiddencookie:{[cookie] $[iscookie cookie;$["=" in cookie;(cookie?"=")#cookie;""],"=***";cookie]}   // others' stay

// at the start: .pm's entry for the authtype, and the lists that keep tokens and the timer out of the logs. The usage
// log looks for its names in mixed lists alone: (`f;`) it would write, (`f;::) it passes.
quiet:{[]
  if[@[{value x;1b};`.pm.login;0b]; .pm.auth.sessiond:{[u;p] $[kind[p]~`token;login[u;p];0b]}];
  add:{[names;more] if[@[{value x;1b};names;0b]; names set distinct value[names],more]};
  add[`.zpsignore.ignorelist;passing];
  add[`.usage.ignorelist;passing,timed];
  if[access[]; out "TorQ's .access is on: whoever logs in, by token too, must be among its users and hosts"];
  if[@[value;`.usage.enabled;0b] and not @[value;`.usage.ignore;1b];
    warn ".usage.ignore is off: the usage log will hold the tokens of renewals, and two lines a second of the timer"];}

\d .
