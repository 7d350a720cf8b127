// backend.q - people who logged in elsewhere and whose queries run here. TorQ's gateway sends .pm.execas[query;user] to
// its rdbs and hdbs under its own name. Where .sessiond.backend is set, the daemon tells who stands where (its call
// `follow`, then pushes), and pm.q keeps rows for them. Then who acts: the user for whom a query runs, by whom functions
// and virtual tables filter rows (example: rows.q).

\d .sessiond

// user: as typed there, which is .z.u there and what a gateway passes on; name: as verified; attributes: (keys;values)
nobody:([user:0#`] name:0#`; roles:(); attributes:())
standing:nobody
heard:0Np                                                       // when the daemon was last there to tell
unfollowed:""                                                   // why it does not
askagain:0Np                                                    // when to ask it again then: a reload of its may change it

stands:{[u] u in exec user from standing}
split:{[attributes] $[99h=type attributes;(key attributes;value attributes);()]}
whole:{[user;name;roles;attributes]                             // lists, these of pairs; a row is whole or it is none
  typed:{[u] $[-11h=type u;not null u;0b]} each user;
  named:-11h=type each name;
  at:where typed and named and (11h=type each roles) and 11h=type each first each attributes;
  if[count[user]>count at; warn string[count[user]-count at]," of who logged in elsewhere is not told whole, and left out"];
  flip (cols nobody)!(user;name;roles;attributes)@\:at}
told:{[people]                                                  // the answer of `follow`, a table
  if[not all (cols nobody) in cols people; '"no such columns"];
  has:@[split each;people`attributes;()];                       // q makes a table of like dictionaries, and none of empty ones
  if[not count[has]=count people; has:count[people]#enlist (0#`;())];
  whole[people`user;people`name;people`roles;has]}
agree:{[users]                                                  // .pm with that; a name that .pm has otherwise stays as it is
  denied:settle users;
  if[0=n:count denied; :()];
  named:", " sv shown each (10&n)#denied;
  warn named,$[n>10;", …";""]," logged in elsewhere and have no rights here: .pm has the name with another authtype than sessiond, or for a group";}
replace:{[people]                                               // all of them; nothing waits in between
  before:exec user from standing;
  .sessiond.standing:nobody upsert people;
  agree before,exec user from standing;}

follow:{[]                                                      // after hello; and again, where it was refused
  if[not backend; :()];
  .sessiond.askagain:.z.p+maxretry;
  r:answer(`follow;(0#`)!());
  if[first r; r:@[{[people] (1b;told people)};r 1;{[e] (0b;"not an answer")}]];
  if[first r;
    replace r 1;
    .sessiond.heard:.z.p; .sessiond.unfollowed:"";
    :out string[count standing]," people are logged in elsewhere, and have their roles here"];
  if[0=count r 1; :()];                                         // it went away: what it said last holds for .sessiond.linger
  replace 0!nobody;
  if[not unfollowed~r 1; warn "the daemon does not say who logged in elsewhere, so nobody of them has rights here: ",r 1];
  .sessiond.unfollowed:r 1;}
stood:{[d]                                                      // a push; it may come while a call waits, or a query runs
  if[not backend; :()];
  u:d`user;
  if[1b~d`gone; delete from `.sessiond.standing where user=u; :agree u];
  people:whole . enlist each (d`user`name`roles),enlist split d`attributes;
  `.sessiond.standing upsert people;
  agree exec user from people;}
lapse:{[]                                                       // by the timer: rows are rights without a session behind
  if[not backend; :()];
  if[ready[]; .sessiond.heard:.z.p; if[count unfollowed; if[askagain<.z.p; follow[]]]; :()];
  if[(0=count standing) or not linger<.z.p-heard; :()];
  warn "the daemon is away for longer than .sessiond.linger: who logged in elsewhere has no rights here until it is back";
  replace 0!nobody;}

// ---- who acts ----
// .z.u is the gateway's account while .pm.execas runs a query for somebody. Calls may be nested: the innermost counts.
acting:0#`
actor:{[] $[count acting;last acting;.z.u]}
actingas:{[u;f;args]                                            // f . args, with u as the actor; restored if it throws, too
  was:acting;
  @[{[users] .sessiond.acting:users};was,u;::];                 // within reval nothing may be set: then nobody new acts
  r:.[{[f;args] (1b;f . args)};(f;args);{[e] (0b;e)}];
  @[{[users] .sessiond.acting:users};was;::];
  $[first r;r 1;'r 1]}
foreign:{[u]                                                    // why nothing runs here for somebody of that name; "" = it may
  if[not backend and pm[]; :""];
  if[u~.z.u; :""];                                              // his own login was judged here
  if[stands[u] and not permitted u; :"pm: this name is a person's elsewhere, and not the same one's here"];
  $[u in exec id from .pm.user;"";"pm: nobody of this name is logged in"]}
forrequ:{[f;u;q] if[count why:foreign u; 'why]; actingas[u;f;(u;q)]}   // around .pm.requ, by which .pm.execas goes
forexecas:{[f;q;u] if[count why:foreign u; 'why]; actingas[u;f;(q;u)]}   // around .pm.execas, where no .pm.requ is
actors:{[]                                                      // at the start
  has:{[name] @[{value x;1b};name;0b]};
  if[has`.pm.requ; .pm.requ:forrequ .pm.requ; :()];
  if[has`.pm.execas; .pm.execas:forexecas .pm.execas];}

// ---- attributes ----
valueof:{[pair;k] $[count at:where k=pair 0;$[10h=type v:pair[1] first at;v;-10h=type v;enlist v;""];""]}
attribute:{[h;k]                                                // of the token session on a handle, or of a page's; "" where there is none
  s:holder h;
  $[s in exec session from sessions;valueof[sessions[s;`attributes];k];""]}
attributeof:{[u;k]                                              // of a user, by the name as typed: the newest session here, else elsewhere
  s:exec session from sessions where user=u,order=max order;
  if[count s; :valueof[sessions[first s;`attributes];k]];
  if[u~.z.u; :""];                                              // came by a password: an account, and somebody else may have its name elsewhere
  $[stands[u] and permitted u;valueof[standing[u;`attributes];k];""]}

\d .
