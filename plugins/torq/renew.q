// renew.q - renewal: a user who has a fresh token keeps his handle by a call on it, asynchronously:
// neg[h](`.sessiond.renew;token). Anybody can call it, as often as he likes.

\d .sessiond

renew:{[password]
  s:exec session from sessions where handle=.z.w,open;
  if[0=count s; :ignored "no token session on it"];
  s:first s;
  if[.z.p<sessions[s;`renewing]+2*deadline; :ignored "one is under way"];
  if[.z.p<sessions[s;`renewed]+pace; :ignored "too soon after the last, .sessiond.pace is ",string pace];
  if[maxpassword<count password; :ignored "too large"];         // before it is looked into: that takes many times its size
  what:kind password;
  if[not what~`token; :ignored $[what~`plain;"not a token";"almost a token, it must be whole and alone"]];
  if[not ready[]; :ignored "the daemon is away"];
  .[`.sessiond.sessions;(s;`renewing);:;.z.p];
  .[`.sessiond.sessions;(s;`renewed);:;.z.p];
  tell(`renew;s;password);}
noted:0Np; unnoted:0                                            // the last line of these, and how many had none since
ignored:{[why]                                                  // one line a second
  if[.z.p<noted+0D00:00:01; .sessiond.unnoted:1+unnoted; :()];
  out "renewal on handle ",string[.z.w]," ignored: ",why,$[0<unnoted;"; and ",string[unnoted]," more before it";""];
  .sessiond.noted:.z.p; .sessiond.unnoted:0;}

\d .
