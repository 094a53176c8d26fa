r"""The names that grok patterns use, and what each stands for. No I/O.

The names are those that Logstash and Elasticsearch have made common; the patterns are our own, in RE2's syntax, and
name fields as ECS does.
"""

_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_WORD16 = r"[0-9A-Fa-f]{1,4}"
_V4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
_V6 = "|".join(
    (
        rf"(?:{_WORD16}:){{7}}{_WORD16}",
        rf"(?:{_WORD16}:){{6}}{_V4}",
        rf"(?:{_WORD16}(?::{_WORD16}){{0,4}})?::(?:{_WORD16}:){{0,4}}{_V4}",
        rf"(?:{_WORD16}(?::{_WORD16}){{0,6}})?::(?:{_WORD16}(?::{_WORD16}){{0,6}})?",
    )
)
_LABEL = r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,62})"

_NUMBERS = {
    "INT": r"[+-]?[0-9]+",
    "POSINT": r"[1-9][0-9]*",
    "NONNEGINT": r"[0-9]+",
    "NUMBER": r"%{BASE10NUM}",
    "BASE10NUM": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "BASE16NUM": r"[+-]?(?:0x)?[0-9A-Fa-f]+",
    "BASE16FLOAT": r"[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)",
}
_TEXTS = {
    "WORD": r"\b\w+\b",
    "NOTSPACE": r"\S+",
    "SPACE": r"\s*",
    "DATA": r"(?s:.*?)",
    "GREEDYDATA": r"(?s:.*)",
    "QUOTEDSTRING": r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)""",
    "QS": r"%{QUOTEDSTRING}",
    "UUID": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "URN": r"urn:[0-9A-Za-z][0-9A-Za-z-]{0,31}:[^\s\"<>\\^`{|}]+",
    "USERNAME": r"[0-9A-Za-z._-]+",
    "USER": r"%{USERNAME}",
    "EMAILLOCALPART": r"[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+(?:\.[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+)*",
    "EMAILADDRESS": r"%{EMAILLOCALPART}@%{HOSTNAME}",
    "LOGLEVEL": (
        r"(?i:trace|debug|info(?:rmation(?:al)?)?|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|alert|fatal|severe"
        r"|emerg(?:ency)?|panic)"
    ),
}
_NETWORK = {
    "IPV4": rf"\b{_V4}\b",
    "IPV6": rf"(?:{_V6})(?:%[0-9A-Za-z._-]+)?",
    "IP": r"(?:%{IPV6}|%{IPV4})",
    "HOSTNAME": rf"\b{_LABEL}(?:\.{_LABEL})*\.?",
    "HOST": r"%{HOSTNAME}",
    "IPORHOST": r"(?:%{IP}|%{HOSTNAME})",
    "HOSTPORT": r"%{IPORHOST}:%{POSINT}",
    "MAC": r"(?:%{COMMONMAC}|%{WINDOWSMAC}|%{CISCOMAC})",
    "COMMONMAC": r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}",
    "WINDOWSMAC": r"[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}",
    "CISCOMAC": r"[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}",
    "PATH": r"(?:%{UNIXPATH}|%{WINPATH})",
    "UNIXPATH": r"/[^\s:,;\"'<>|]*",
    "WINPATH": r"(?:[A-Za-z]:|\\)(?:\\[^\\\s?*\"<>|]*)+",
    "TTY": r"/dev/(?:pts/[0-9]+|tty[A-Za-z0-9]*)",
    "URIPROTO": r"[A-Za-z][0-9A-Za-z+.-]*",
    "URIHOST": r"%{IPORHOST}(?::%{POSINT})?",
    "URIPATH": r"/[^\s?#\"<>]*",
    "URIQUERY": r"[^\s#\"<>]*",
    "URIPARAM": r"\?%{URIQUERY}",
    "URIPATHPARAM": r"%{URIPATH}(?:%{URIPARAM})?",
    "URI": r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
}
_TIMES = {
    "MONTH": (
        r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?"
        r"|[Ss]ept?(?:ember)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b"
    ),
    "MONTHNUM": r"(?:1[0-2]|0?[1-9])",
    "MONTHNUM2": r"(?:1[0-2]|0[1-9])",
    "MONTHDAY": r"(?:3[01]|[12][0-9]|0?[1-9])",
    "DAY": r"\b(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)\b",
    "YEAR": r"[0-9]{4}|[0-9]{2}",
    "HOUR": r"(?:2[0-3]|[01]?[0-9])",
    "MINUTE": r"[0-5][0-9]",
    "SECOND": r"(?:60|[0-5]?[0-9])(?:[:.,][0-9]+)?",
    "TIME": r"%{HOUR}:%{MINUTE}(?::%{SECOND})?",
    "DATE_US": r"%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}",
    "DATE_EU": r"%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}",
    "DATE": r"(?:%{DATE_US}|%{DATE_EU})",
    "DATESTAMP": r"%{DATE}[- ]%{TIME}",
    "ISO8601_TIMEZONE": r"(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)",
    "ISO8601_SECOND": r"%{SECOND}",
    "TIMESTAMP_ISO8601": (
        r"[0-9]{4}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?(?: ?%{ISO8601_TIMEZONE})?"
    ),
    "TZ": r"\b(?:[A-Z]{1,4}T|UTC|Z)\b",
    "DATESTAMP_RFC822": r"%{DAY} %{MONTH} %{MONTHDAY} [0-9]{4} %{TIME} %{TZ}",
    "DATESTAMP_RFC2822": r"%{DAY}, %{MONTHDAY} %{MONTH} [0-9]{4} %{TIME} %{ISO8601_TIMEZONE}",
    "DATESTAMP_OTHER": r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} [0-9]{4}",
    "DATESTAMP_EVENTLOG": r"[0-9]{4}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
    "HTTPDATE": r"%{MONTHDAY}/%{MONTH}/[0-9]{4}:%{TIME} [+-][0-9]{4}",
    "SYSLOGTIMESTAMP": r"%{MONTH} +%{MONTHDAY} %{TIME}",
}
_LINES = {
    "PROG": r"[^\s\[\]:]+",
    "SYSLOGPROG": r"%{PROG:process.name}(?:\[%{POSINT:process.pid}\])?",
    "SYSLOGHOST": r"%{IPORHOST}",
    "SYSLOGFACILITY": r"<%{NONNEGINT:log.syslog.facility.code}\.%{NONNEGINT:log.syslog.priority}>",
    "SYSLOGBASE": (
        r"%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:log.syslog.hostname} %{SYSLOGPROG}:"
    ),
    "SYSLOGLINE": r"%{SYSLOGBASE} %{GREEDYDATA:message}",
    "HTTPDUSER": r"%{EMAILADDRESS}|%{USER}",
    "HTTPD_COMMONLOG": (
        r"%{IPORHOST:source.address} (?:-|%{HTTPDUSER:ident}) (?:-|%{HTTPDUSER:user.name}) \[%{HTTPDATE:timestamp}\] "
        r'"(?:%{WORD:http.request.method} %{NOTSPACE:url.original}(?: HTTP/%{NUMBER:http.version})?|%{DATA})" '
        r"(?:-|%{INT:http.response.status_code}) (?:-|%{INT:http.response.body.bytes})"
    ),
    "HTTPD_COMBINEDLOG": (
        r'%{HTTPD_COMMONLOG} "(?:-|%{DATA:http.request.referrer})" "(?:-|%{DATA:user_agent.original})"'
    ),
    "COMMONAPACHELOG": r"%{HTTPD_COMMONLOG}",
    "COMBINEDAPACHELOG": r"%{HTTPD_COMBINEDLOG}",
    "JAVACLASS": r"(?:[A-Za-z$_][\w$]*\.)*[A-Za-z$_][\w$]*",
    "JAVAFILE": r"[A-Za-z$_][\w$. -]*",
    "JAVAMETHOD": r"(?:<(?:cl)?init>|[A-Za-z$_][\w$]*)",
    "JAVALOGMESSAGE": r"%{GREEDYDATA}",
    "JAVASTACKTRACEPART": (
        r"%{SPACE}at %{JAVACLASS:log.logger}\.%{JAVAMETHOD:log.origin.function}"
        r"\(%{JAVAFILE:log.origin.file.name}(?::%{INT:log.origin.file.line})?\)"
    ),
}
PATTERNS: dict[str, str] = _NUMBERS | _TEXTS | _NETWORK | _TIMES | _LINES
"""By name."""
