// What a frontend does with mediagen: ask for pictures, watch them come, show them, approve one.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type Asset = components["schemas"]["Asset"];
type Events = components["schemas"]["StreamEvents"];
export type Told = { [Name in keyof Events]: { name: Name; data: Events[Name] } }[keyof Events];

export class Refused extends Error {
  constructor(readonly problem: components["schemas"]["Problem"]) {
    super(problem.detail);
  }
}

export function connect(site: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const api = createClient<paths, "application/json" | "application/problem+json">({ baseUrl: `${site}/api/v1`, headers });

  return {
    /** A picture of the prompt, asked for once however often this is called with the same key. */
    async ask(prompt: string, key: string) {
      const { data, error } = await api.POST("/generations/", {
        params: { header: { "Idempotency-Key": key } },
        body: { prompt, width: 512, height: 512, alt_text: prompt },
      });
      if (error) throw new Refused(error);
      return data;
    },

    /** Each event of the generation, until nothing more is to come. */
    async *watch(generation: { events_url: string }): AsyncGenerator<Told> {
      const response = await fetch(generation.events_url, { headers });
      if (!response.body) return;
      let text = "";
      for await (const part of response.body.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
        const blocks = (text + part).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) {
          const lines = new Map(block.split("\n").map((line) => line.split(/: (.*)/s) as [string, string]));
          const [name, data] = [lines.get("event"), lines.get("data")];
          if (name && data) yield { name, data: JSON.parse(data) } as Told;
        }
      }
    },

    /** The newest pictures that fit. */
    async gallery(q?: string) {
      const query = { state: ["ready" as const], page_size: 24, ...(q ? { q } : {}) };
      const { data, error } = await api.GET("/assets/", { params: { query } });
      if (error) throw new Refused(error);
      return data.results;
    },

    async approve(asset: Asset) {
      const { data, error } = await api.POST("/assets/{id}/approve/", { params: { path: { id: asset.id } }, body: {} });
      if (error) throw new Refused(error);
      return data;
    },
  };
}
