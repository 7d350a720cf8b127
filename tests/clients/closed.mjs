// Logs in with node-q, prints what it hears when the connection is closed, and what comes of a
// query and a login then. Arguments: the port. Standard input: the password.
import nodeq from "node-q";

const port = Number(process.argv[2]);
let password = "";
for await (const piece of process.stdin) password += piece;
const login = { host: "127.0.0.1", port, user: "alice", password: password.trim() };

nodeq.connect(login, (error, q) => {
  if (error) throw error;
  q.on("close", () => {
    console.log("close");
    q.k("trade", () => console.log("answered"));
    nodeq.connect(login, (refused) => console.log(String(refused)));
  });
  console.log("in");
});
