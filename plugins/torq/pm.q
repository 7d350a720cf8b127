// pm.q - TorQ's permissions: the hook gives the user of a token a row and roles in .pm, and takes back what it gave.
// .pm judges by .z.u, so this is kept by user, not by handle. Rights are those of the user's newest token.

\d .sessiond

passing:(`.sessiond.upd;".sessiond.upd";`.sessiond.renew;".sessiond.renew")   // called async, past .pm and the usage log
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
give:{[u;r] .[$[bygroup[];.pm.addtogroup;.pm.assignrole];(u;r);{[r;e] warn string[r]," was not given: ",e}[r]]}
take:{[u;r] .[$[bygroup[];.pm.removefromgroup;.pm.unassignrole];(u;r);{[r;e] err string[r]," was not taken: ",e}[r]]}

// make .pm agree with the map for one user. 0b: .pm would not have the user
settle:{[u]
  if[not pm[]; :1b];
  held:select roles,order from sessions where user=u;
  if[0=count held; leave u; :1b];
  if[not permitted u; :0b];
  if[not u in exec id from .pm.user;
    if[not .[{[u] .pm.adduser[u;`sessiond;`;"none"]; 1b};enlist u;{[e] err ".pm.adduser: ",e; 0b}]; :0b];
    .sessiond.rows,:u];
  had:$[u in key given;given u;0#`];
  want:first exec roles from held where order=max order;
  take[u] each had except want;
  new:(want except had) except rolesof u;                       // what the user had before is not ours to take back
  give[u] each new;
  .sessiond.given,:(enlist u)!enlist(had inter want),new inter rolesof u;
  1b}

leave:{[u]                                                      // the user's last session has gone
  if[u in key given; take[u] each given u; others:key[given] except u; .sessiond.given:others!given others];
  if[u in rows; if[permitted u; .pm.removeuser u]; .sessiond.rows:rows except u];}

// at the start: .pm's entry for the authtype, and the lists that keep tokens out of the logs
quiet:{[]
  if[@[{value x;1b};`.pm.login;0b]; .pm.auth.sessiond:{[u;p] $[kind[p]~`token;login[u;p];0b]}];
  {if[@[{value x;1b};x;0b]; x set distinct value[x],passing]} each `.zpsignore.ignorelist`.usage.ignorelist;
  if[@[value;`.usage.enabled;0b] and not @[value;`.usage.ignore;1b];
    warn ".usage.ignore is off: the usage log will hold the tokens of renewals"];}

\d .
