"""Made-up personal data and secrets, by the kind that replaces each in a text.

The tokens of services are put together here so that no scanner takes them for real.
"""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
JWT = f"ey{'JhbGciOiJIUzI1NiJ9'}.eyJzdWIiOiIxIn0.{LETTERS}"

SAMPLES = {
    "email": ["o'neil+x@mail.example.co.uk", "jürgen@müller.example", "a%40b.example"],
    "card": ["4111111111111111", "5500-0000-0000-0004", "3782 822463 10005"],
    # The shortest and nearly the longest are among them.
    "iban": [
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "NO9386011117947",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "ip": ["203.0.113.7", "2001:db8::8a2e:370:7334", "2001:db8:1:2:3:4:5:6"],
    "phone": [
        "+49 170 1234567",
        "+1 (415) 555-2671",
        "0049 170 1234567",
        "(415) 555-2671",
        "415-555-2671",
        "020 7946 0958",
    ],
    "id": [
        "536-90-4399",  # United States
        "AB 12 34 56 C",  # United Kingdom
        "295109912611193",  # France
        "36 574 261 809",  # Germany
        "54362315K",  # Spain
        "X-2482300-W",
        "RCCMNL83S18D969H",  # Italy
        "390.533.447-05",  # Brazil
        "2341 2341 2346",  # India
        "ACUPA7085R",
        "44051401359",  # Poland
        "880320-0016",  # Sweden
        "211062-5629",  # Denmark
        "131052-308T",  # Finland
        "756.9217.0769.85",  # Switzerland
        "BOXW310820HNERXN09",  # Mexico
        "360426199101010071",  # China
        "971013-9019902",  # South Korea
        "85.07.30-033.28",  # Belgium
    ],
    "key": [
        f"vc-AbCdEf12-{LETTERS}_12345",
        f"sk-proj-{LETTERS}",
        f"sk-ant-api03-{LETTERS}",
        "AKIA" + "IOSFODNN7EXAMPLE",
        f"ghp_{LETTERS}0123456789",
        f"github_pat_{LETTERS}",
        f"glpat-{LETTERS}",
        "xoxb-" + "1234567890-abcdef",
        "xapp-" + "1-A123-abcdef",
        "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
        f"ya29.{LETTERS}",
        f"sk_live_{LETTERS}",
        f"whsec_{LETTERS}",
        f"hf_{LETTERS}",
        f"SG.{LETTERS}.{LETTERS}",
        f"AGE-SECRET-KEY-1{LETTERS.upper()}",
        "hooks.slack.com/services/" + "T000/B000/abcdefghijkl",
        "discord.com/api/webhooks/" + "123/abc-def",
    ],
    "token": [JWT],
    "credentials": [f"Bearer {LETTERS}", "bearer abcdefgh1", "Basic dXNlcjpzZWNyZXQ="],
    "private key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/AA==\n-----END RSA PRIVATE KEY-----"  # pragma: allowlist secret
    ],
}
# (text, the same without its secret)
NAMED = [
    ("postgres://app:hunter2@db:5432/x", "postgres://[password]@db:5432/x"),
    ("redis://:hunter2@host", "redis://[password]@host"),
    ("DB_PASSWORD='s3cr3t!'", "DB_PASSWORD='[secret]'"),
    ('{"api_key": "abcd1234"}', '{"api_key": "[secret]"}'),
    ('{\\"password\\":\\"abcd1234\\"}', '{\\"password\\":\\"[secret]\\"}'),
    ("?access_token=abcd1234&x=1", "?access_token=[secret]&x=1"),
    ("Cookie: sessionid=abc; x=1", "Cookie: [secret]"),
]
# What is none of it.
CLEAN = [
    "0193a5c2-7d1e-7b3a-9c4d-1234567890ab",
    "01234567-1234-7123-8123-123456789012",
    "1" * 32,
    "2026-11-30T08:14:13.123456Z",
    "2026-11-30 08:14:13+00:00",
    "1796026453",
    "1796026453123",
    "1796026453123456",
    "1796026453123456789",
    "0.30000000000000004",
    "0.4111111111111111",
    "4111111111111112",
    "5.2.9",
    "1.2.3-rc1",
    "1.2.3.4.5",
    "127.0.0.1:8000",
    "0.0.0.0",
    "::1",
    "gpt-4o-2024-08-06",
    "claude-3-5-sonnet-20241022",
    "tests/http/test_a.py::test_b",
    "std::vector dead::beef",
    f"sha256:{'ab12' * 16}",
    "1234567 tokens, $0.001234",
    "basic authentication",
    "Bearer authentication",
    "Basic abcdefghi",
    "999.1.1.1",
    "max_tokens: 4096",
    "the first token came after 12 ms",
]
