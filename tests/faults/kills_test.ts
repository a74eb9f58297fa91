import { integration, KEY, startServer, tempDir } from "../helpers.ts";
import { Dice } from "./content.ts";
import { killClients, killServers } from "./kills.ts";
import { Trial } from "./trial.ts";

integration("server.ts that is killed under load loses nothing that it acknowledged", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await killServers(dir, { kills: 14, trial: new Trial(1), dice: new Dice(1) });
});

integration("a kill within encrypted transfers loses and leaves nothing either", async () => {
  await using local = await tempDir();
  const dir = `${local.path}/received`;
  await killServers(dir, { kills: 2, trial: new Trial(1), dice: new Dice(1), key: KEY });
  await using server = await startServer({ key: KEY });
  await killClients(server, { kills: 3, trial: new Trial(1), dice: new Dice(1) });
});

integration("client.ts that is killed leaves nothing partial on either side", async () => {
  await using server = await startServer();
  await killClients(server, { kills: 6, trial: new Trial(1), dice: new Dice(1) });
});
