"""The languages of clients, and what is generated for each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """A language by the name that developers use; `generator` is openapi-generator's."""

    title: str
    generator: str
    options: str = ""


# `{version}` is that of the API's document. Other generators go by their own names.
LANGUAGES: Mapping[str, Language] = {
    "apex": Language("Apex", "apex"),
    "bash": Language("Bash", "bash"),
    "c": Language("C", "c"),
    "clojure": Language("Clojure", "clojure"),
    "cpp": Language("C++", "cpp-restsdk"),
    "crystal": Language("Crystal", "crystal"),
    "csharp": Language("C#", "csharp", "packageName=ValueCanvas.Client"),
    "dart": Language("Dart", "dart", "pubName=valuecanvas_client"),
    "elixir": Language("Elixir", "elixir", "packageName=ValueCanvasClient"),
    "elm": Language("Elm", "elm"),
    "erlang": Language("Erlang", "erlang-client"),
    "go": Language("Go", "go", "packageName=valuecanvas"),
    "groovy": Language("Groovy", "groovy"),
    "haskell": Language("Haskell", "haskell-http-client"),
    "java": Language(
        "Java", "java", "groupId=com.valuecanvas,artifactId=valuecanvas-client"
    ),
    "javascript": Language(
        "JavaScript", "javascript", "projectName=valuecanvas-client"
    ),
    "julia": Language("Julia", "julia-client"),
    "kotlin": Language("Kotlin", "kotlin", "packageName=com.valuecanvas.client"),
    "lua": Language("Lua", "lua"),
    "nim": Language("Nim", "nim"),
    "objc": Language("Objective-C", "objc"),
    "ocaml": Language("OCaml", "ocaml"),
    "perl": Language("Perl", "perl"),
    "php": Language("PHP", "php", "invokerPackage=ValueCanvas"),
    "powershell": Language("PowerShell", "powershell"),
    "python": Language(
        "Python",
        "python",
        "packageName=valuecanvas_client,projectName=valuecanvas-client,"
        "packageVersion={version}",
    ),
    "r": Language("R", "r"),
    "ruby": Language("Ruby", "ruby", "gemName=valuecanvas_client"),
    "rust": Language("Rust", "rust", "packageName=valuecanvas-client"),
    "scala": Language("Scala", "scala-sttp"),
    "swift": Language("Swift", "swift6", "projectName=ValueCanvas"),
    "typescript": Language(
        "TypeScript",
        "typescript-fetch",
        "npmName=@valuecanvas/client,npmVersion={version},modelPropertyNaming=original",
    ),
}


def language(name: str) -> Language:
    """That of `name`, which is a language or one of the generators."""
    return LANGUAGES.get(name, Language(name, name))
