import * as Effect from "effect/Effect"
import * as SelfSigned from "selfsigned"

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Makes a certificate that signs itself, for the names and addresses given. */
export const makeCertificate = (names: ReadonlyArray<string>, addresses: ReadonlyArray<string> = []) =>
  Effect.map(
    Effect.promise(() =>
      SelfSigned.generate([{ name: "commonName", value: names[0] ?? "test" }], {
        keyType: "ec",
        extensions: [
          { name: "basicConstraints", cA: true },
          {
            name: "subjectAltName",
            altNames: [
              ...names.map((value) => ({ type: 2 as const, value })),
              ...addresses.map((ip) => ({ type: 7 as const, ip }))
            ]
          }
        ]
      })
    ),
    ({ cert, private: key }): Certificate => ({ key, cert })
  )
