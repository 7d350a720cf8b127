// pm.q - TorQ's permissions: the hook gives the user of a token a row and roles in .pm, and takes back what it gave.
// .pm judges by .z.u, so this is kept by user, not by handle. Rights are those of the user's newest token here, else those
// that he has elsewhere (backend.q).
// Then TorQ's older access lists (.access), and its logs, where no token may go.

\d .sessiond

passing:(`.sessiond.upd;".sessiond.upd";`.sessiond.renew;".sessiond.renew")   // called async, past .pm and the usage log
timed:(`.sessiond.tick;".sessiond.tick")                        // by TorQ's timer through .z.ps: past the usage log only
rows:0#`                                                        // users whose row in .pm.user the hook made
given:(0#`)!()                                                  // user!roles that the hook gave

pm:{[] @[value;`.pm.enabled;0b]}

// may this name log in by token? Not if .pm knows it by another authtype, nor if it is a group's
permitted:{[u]
  if[not pm[]; :1b];
  if[null[u] or u in exec name from .pm.groupinfo; :0b];
  all `sessiond=exec authtype from .pm.user where id=u}

bygroup:{[] assign~`group}
rolesof:{[u] $[bygroup[];exec groupname from .pm.usergroup where user=u;exec role from .pm.userrole where user=u]}
ungiven:0#`                                                     // roles that .pm does not know, each said once
give:{[u;r] .[$[bygroup[];.pm.addtogroup;.pm.assignrole];(u;r);unknownrole r]}
unknownrole:{[r;e] if[not r in ungiven; warn string[r]," was not given: ",e; .sessiond.ungiven,:r];}
take:{[u;r] .[$[bygroup[];.pm.removefromgroup;.pm.unassignrole];(u;r);{[r;e] err string[r]," was not taken: ",e}[r]]}

rolesdue:{[u]                                                   // what the user is to have; :: where nobody has the name any more
  held:select roles,order from sessions where user=u;
  if[count held; :first exec roles from held where order=max order];
  $[stands u;standing[u;`roles];(::)]}
// make .pm agree with the map for one user. 0b: .pm would not have the user
settle:{[u]
  if[not pm[]; :1b];
  want:rolesdue u;
  if[(::)~want; leave u; :1b];
  if[not permitted u; :0b];
  if[not u in exec id from .pm.user;
    if[not .[{[u] .pm.adduser[u;`sessiond;`;"none"]; 1b};enlist u;{[e] err ".pm.adduser: ",e; 0b}]; :0b];
    .sessiond.rows,:u];
  had:$[u in key given;given u;0#`];
  take[u] each had except want;
  new:(want except had) except rolesof u;                       // what the user had before is not ours to take back
  give[u] each new;
  .sessiond.given,:(enlist u)!enlist(had inter want),new inter rolesof u;
  1b}

leave:{[u]                                                      // the user's last session has gone, here and elsewhere
  if[u in key given; take[u] each given u; others:key[given] except u; .sessiond.given:others!given others];
  if[u in rows; if[permitted u; .pm.removeuser u]; .sessiond.rows:rows except u];}

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
hidden:{[name;text]                                             // .z.pw has judged it, and nobody else needs it
  $[any lower[$[10h=type name;name;string name]]~/:("authorization";"proxy-authorization");"***";text]}

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
