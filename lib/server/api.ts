/**
 * The types of the server as a library.
 *
 * @module
 */

export type {
  DiffEntry,
  ERROR_CODES,
  ErrorCode,
  Fields,
  FolderFacts,
  LinkFacts,
  ListEntry,
  TrailerFacts,
} from "../../protocol.ts";
export type { Access } from "../auth/access.ts";
export type { Code, LocalCode } from "../errors.ts";
export type { Facts, SmallReader, WholeFile } from "../body/file_facts.ts";
export type { Extent, ReadOptions } from "../body/reading.ts";
export type { OnBytes } from "../body/streams.ts";
export type { Disk } from "../store/disk.ts";
export type { LinkRule } from "../store/link_rules.ts";
export type * from "../store/ongoing.ts";
export type * from "../store/store.ts";
export type * from "../store/store_batch.ts";
export type { ClientEvent, OnClient } from "./client_hook.ts";
export type { LoggedEvent, LogLevel, LogOptions, LogSink } from "./log.ts";
export type { LOG_EVENTS, LogEvent, LogKeys } from "./log_events.ts";
export type { ServeOptions, ServeUnixOptions } from "./serve_options.ts";
export type { OnStored, ReceivedFile, ServedClient } from "./stored_hook.ts";
