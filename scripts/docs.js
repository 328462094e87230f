/**
 * Checks that every public export is documented. A module starts with a doc comment of its own; every exported
 * declaration has a doc comment with a first sentence, `@since` and `@category`; every member of an exported interface
 * or class has a doc comment. `internal/` is not public. Source folders may be named as arguments.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
// The current compiler has no API.
import ts from "typescript-5.9"
import { publicModules, root, sourceFolders } from "./workspace.js"

/** @type {Set<string>} */
const problems = new Set()
let documented = 0

/** @param {ts.Node} node @param {string} message */
const report = (node, message) => {
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
  problems.add(`${Path.relative(root, file.fileName)}:${line + 1} ${message}`)
}

/** @type {Map<string, ts.SourceFile>} */
const parsed = new Map()
/** @param {string} file */
const parse = (file) => {
  const known = parsed.get(file)
  if (known !== undefined) return known
  const source = ts.createSourceFile(file, Fs.readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, true)
  parsed.set(file, source)
  return source
}

/** The doc comments that stand before a node, the one that belongs to it last. @param {ts.Node} node */
const docsBefore = (node) => ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)

/** @param {ts.JSDoc | undefined} doc */
const description = (doc) => (ts.getTextOfJSDocComment(doc?.comment) ?? "").trim()

const sentence = /[^\s*][.!?:]["')`*]*(\s|$)/

/** @param {ts.JSDoc | undefined} doc */
const hasSentence = (doc) => sentence.test(description(doc).split("\n\n")[0] ?? "")

/** @param {ts.JSDoc | undefined} doc @param {string} name */
const tag = (doc, name) => {
  const found = doc?.tags?.find(({ tagName }) => tagName.text === name)
  return (ts.getTextOfJSDocComment(found?.comment) ?? "").trim()
}

/** @param {ts.Node} node @param {ts.SyntaxKind} kind */
const hasModifier = (node, kind) =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === kind)

/** @param {ts.SourceFile} file */
const checkModule = (file) => {
  const first = file.statements[0]
  if (first === undefined) return
  const comments = (ts.getLeadingCommentRanges(file.text, first.pos) ?? [])
    .map(({ pos, end }) => file.text.slice(pos, end))
    .filter((comment) => comment.startsWith("/**"))
  // The comment before an import is the module's; before a declaration, the last one is the declaration's.
  const own = ts.isImportDeclaration(first) || ts.isExportDeclaration(first) ? comments : comments.slice(0, -1)
  if (!own.some((comment) => sentence.test(comment))) report(first, "the module has no doc comment")
}

/**
 * Members of one name are documented when one of them is: overloads, and a getter with its setter.
 *
 * @param {string} owner @param {ReadonlyArray<ts.ClassElement | ts.TypeElement>} members
 */
const checkMembers = (owner, members) => {
  /** @type {Map<string, Array<ts.Node>>} */
  const byName = new Map()
  for (const member of members) {
    if (member.name === undefined || ts.isPrivateIdentifier(member.name) || ts.isComputedPropertyName(member.name))
      continue
    if (hasModifier(member, ts.SyntaxKind.PrivateKeyword)) continue
    const name = member.name.getText()
    // A discriminant says nothing that its type does not.
    if (name === "_tag") continue
    byName.set(name, [...(byName.get(name) ?? []), member])
  }
  for (const [name, [first, ...rest]] of byName) {
    if (first === undefined) continue
    if ([first, ...rest].some((member) => description(docsBefore(member).at(-1)) !== "")) continue
    report(first, `${owner}.${name} has no doc comment`)
  }
}

/** @param {string} name @param {ts.ClassDeclaration | ts.InterfaceDeclaration} declaration */
const checkBody = (name, declaration) => {
  checkMembers(name, [...declaration.members])
  // The fields of `class X extends Data.TaggedError("X")<{ ... }>` are members too.
  for (const clause of declaration.heritageClauses ?? []) {
    for (const argument of clause.types.flatMap((type) => [...(type.typeArguments ?? [])])) {
      if (ts.isTypeLiteralNode(argument)) checkMembers(name, [...argument.members])
    }
  }
}

/** @param {string} name @param {ReadonlyArray<ts.Node>} declarations the overloads of one function, or one declaration */
const checkDeclaration = (name, declarations) => {
  const [first] = declarations
  if (first === undefined) return
  const docs = declarations.map((declaration) => docsBefore(declaration).at(-1))
  const doc = docs.find((each) => description(each) !== "") ?? docs[0]
  const missing = [
    ...(hasSentence(doc) ? [] : ["a first sentence"]),
    ...["since", "category"].filter((each) => tag(doc, each) === "").map((each) => `@${each}`)
  ]
  if (doc === undefined) report(first, `${name} has no doc comment`)
  else if (missing.length > 0) report(first, `${name} lacks ${missing.join(", ")}`)
  else documented++
  if (ts.isClassDeclaration(first) || ts.isInterfaceDeclaration(first)) checkBody(name, first)
}

/** @param {ts.SourceFile} file @param {string} name @returns {Array<ts.Node>} */
const declarationsOf = (file, name) =>
  file.statements.flatMap(
    /** @returns {Array<ts.Node>} */ (statement) => {
      if (ts.isVariableStatement(statement)) {
        return statement.declarationList.declarations.filter((each) => each.name.getText() === name)
      }
      if (
        ts.isFunctionDeclaration(statement) ||
        ts.isClassDeclaration(statement) ||
        ts.isInterfaceDeclaration(statement) ||
        ts.isTypeAliasDeclaration(statement)
      ) {
        return statement.name?.text === name ? [statement] : []
      }
      return []
    }
  )

/** @param {ts.SourceFile} file @returns {Array<string>} */
const exportedNames = (file) =>
  file.statements.flatMap((statement) => {
    if (!hasModifier(statement, ts.SyntaxKind.ExportKeyword)) return []
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map((each) => each.name.getText())
    }
    const name = /** @type {ts.DeclarationStatement} */ (statement).name
    return name === undefined ? [] : [name.getText()]
  })

/** @param {ts.SourceFile} file @param {string} name */
const checkName = (file, name) => {
  const declarations = declarationsOf(file, name)
  if (declarations.length === 0) report(file, `${name} is exported, but this gate can't find its declaration`)
  const functions = declarations.filter(ts.isFunctionDeclaration)
  const others = declarations.filter((declaration) => !ts.isFunctionDeclaration(declaration))
  checkDeclaration(name, functions)
  for (const declaration of others) checkDeclaration(name, [declaration])
}

/** Follows `export { name }` and `export ... from "./internal/file.ts"`. @param {ts.SourceFile} file */
const checkExports = (file) => {
  for (const name of new Set(exportedNames(file))) checkName(file, name)
  for (const statement of file.statements.filter(ts.isExportDeclaration)) {
    const from = statement.moduleSpecifier
    const target = from !== undefined && ts.isStringLiteral(from) ? from.text : undefined
    // What another package exports is documented there.
    if (target !== undefined && !target.startsWith(".")) continue
    const source = target === undefined ? file : parse(Path.resolve(Path.dirname(file.fileName), target))
    const clause = statement.exportClause
    if (clause === undefined) checkExports(source)
    else if (ts.isNamespaceExport(clause)) checkDeclaration(clause.name.getText(), [statement])
    else for (const { name, propertyName } of clause.elements) checkName(source, (propertyName ?? name).getText())
  }
}

const modules = sourceFolders(process.argv.slice(2)).flatMap((source) =>
  publicModules(source).map((file) => parse(Path.join(source, file)))
)
if (modules.length === 0) problems.add("no module to check")
for (const file of modules) {
  checkModule(file)
  checkExports(file)
}
for (const problem of problems) console.error(problem)
console.log(`${documented} documented exports in ${modules.length} modules, ${problems.size} problems`)
process.exitCode = problems.size === 0 ? 0 : 1
