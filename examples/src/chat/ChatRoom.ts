/**
 * A chat room: who is in it, and what is said. It knows nothing of WebSockets.
 *
 * Nobody waits for a slow member. What is said goes into a queue per member, bounded; a member whose queue is full is told
 * to leave and gets nothing more.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"

const maxMembers = 100

/** Lines that may wait for a member: with what `ChatMember` takes as a message, at most 256 KiB. */
const maxUnread = 256

const namePattern = /^[\p{L}\p{N}_-]{1,20}$/u

/** The name can't be used. */
export class InvalidName extends Data.TaggedError("InvalidName")<{ readonly name: string }> {
  override get message(): string {
    return "a name has 1 to 20 letters, digits, - and _"
  }
}

/** Somebody else has the name. */
export class NameTaken extends Data.TaggedError("NameTaken")<{ readonly name: string }> {
  override get message(): string {
    return `somebody is called ${this.name} already`
  }
}

/** The room holds no more members. */
export class RoomFull extends Data.TaggedError("RoomFull")<{ readonly limit: number }> {
  override get message(): string {
    return `the room is full: ${this.limit} are in it`
  }
}

/** The member took too long to read what the others said. */
export class TooSlow extends Data.TaggedError("TooSlow") {
  override get message(): string {
    return `${maxUnread} lines wait unread`
  }
}

/** Somebody in the room, for as long as the scope of `join` is open. */
export interface Member {
  readonly name: string
  /** Waits for the next line that the member is to see. */
  readonly hear: Effect.Effect<string>
  /** Fails once the member has to leave; never succeeds. */
  readonly evicted: Effect.Effect<never, TooSlow>
  /** Says something to all, oneself included. */
  readonly say: (text: string) => Effect.Effect<void>
}

interface Seat {
  readonly lines: Queue.Queue<string>
  readonly eviction: Deferred.Deferred<never, TooSlow>
}

type Seats = HashMap.HashMap<string, Seat>

const make = Effect.map(Ref.make<Seats>(HashMap.empty()), (seats) => {
  const tellAll = (line: string): Effect.Effect<void> =>
    Effect.flatMap(Ref.get(seats), (present) =>
      Effect.forEach(HashMap.values(present), (seat) => tell(seat, line), { discard: true })
    )

  const enter = (name: string): Effect.Effect<Seat, InvalidName | NameTaken | RoomFull> =>
    Effect.gen(function* () {
      if (!namePattern.test(name)) return yield* new InvalidName({ name })
      const seat = yield* makeSeat
      const present = yield* Effect.flatten(Ref.modify(seats, (present) => addTo(present, name, seat)))
      yield* tellAll(`* ${name} joined`)
      yield* tell(seat, `* here: ${Array.from(HashMap.keys(present)).sort().join(", ")}`)
      return seat
    })

  const leave = (name: string): Effect.Effect<void> =>
    Effect.andThen(Ref.update(seats, HashMap.remove(name)), tellAll(`* ${name} left`))

  /** Takes a seat; the member leaves when the scope closes. */
  const join = (name: string): Effect.Effect<Member, InvalidName | NameTaken | RoomFull, Scope.Scope> =>
    Effect.acquireRelease(enter(name), () => leave(name)).pipe(
      Effect.map((seat) => ({
        name,
        hear: Queue.take(seat.lines),
        evicted: Deferred.await(seat.eviction),
        // The yield gives those who hear a turn before the next line: a burst makes nobody slow.
        say: (text) => Effect.zipLeft(tellAll(`${name}: ${withoutControls(text)}`), Effect.yieldNow())
      }))
    )

  return { join }
})

/** The service; one room for the whole program. */
export class ChatRoom extends Effect.Service<ChatRoom>()("examples/ChatRoom", { effect: make }) {}

const makeSeat: Effect.Effect<Seat> = Effect.all({
  lines: Queue.dropping<string>(maxUnread),
  eviction: Deferred.make<never, TooSlow>()
})

/** Never waits: a queue that is full evicts its owner. */
const tell = (seat: Seat, line: string): Effect.Effect<unknown> =>
  Effect.flatMap(Queue.offer(seat.lines, line), (hasRoom) =>
    hasRoom ? Effect.void : Deferred.fail(seat.eviction, new TooSlow())
  )

const addTo = (present: Seats, name: string, seat: Seat): [Effect.Effect<Seats, NameTaken | RoomFull>, Seats] => {
  if (HashMap.has(present, name)) return [new NameTaken({ name }), present]
  if (HashMap.size(present) >= maxMembers) return [new RoomFull({ limit: maxMembers }), present]
  const seats = HashMap.set(present, name, seat)
  return [Effect.succeed(seats), seats]
}

/** A line is one line, and can't move the cursor of a terminal. */
const withoutControls = (text: string): string => text.replace(/\p{Cc}+/gu, " ")
