"""The words of questions, by language: which kind of answer they ask for. Data only."""

# (expression, kind of answer). The first that is found decides; expressions are searched in folded text, without accents.
EN = (
    (r"\bhow old\b|\bwhat age\b", "age"),
    (r"\bhow (?:often|frequently)\b", "frequency"),
    (r"\bhow many times\b", "frequency"),
    (r"\bhow many\b", "count"),
    (r"\bhow much\b.*\b(?:costs?|pay|paid|charged?|earn|raise[sd]?)\b", "money"),
    (r"\bhow much\b.*\bweighs?\b|\bhow heavy\b|\bwhat (?:\w+ )?weight\b", "weight"),
    (r"\bhow much (?:is|are|was|were)\b|\bhow expensive\b|\bhow much money\b", "money"),
    (r"\b(?:what|which) (?:\w+ ){0,3}?(?:price|fee|fare|rent|salary)s?\b", "money"),
    (r"\bwhat (?:did|does|do|will|would) .* costs?\b", "money"),
    (r"\bhow much\b", "amount"),
    (
        r"\bhow (?:high|tall|deep|wide|thick|far|big|large|broad)\b|\bwhat (?:\w+ )?(?:height|depth|width|distance|size)\b",
        "length",
    ),
    (r"\bhow long (?:is|are|was|were) (?!.*\b(?:away|open|closed|gone|there|in|on)\b)", "extent"),
    (r"\bhow long\b|\bhow much time\b", "duration"),
    (r"\bhow fast\b|\b(?:what|which) (?:\w+ )?speed\b", "speed"),
    (r"\bhow (?:hot|cold|warm)\b|\b(?:what|which) (?:\w+ )?temperature\b", "temperature"),
    (r"\bwhat (?:share|proportion|percentage)\b|\bhow many per ?cent\b", "percent"),
    (r"\b(?:what|which) (?:\w+ ){0,2}?number\b", "number"),
    (r"\b(?:at )?what time\b|\bwhat hour\b|\bo'?clock\b", "time"),
    (r"\b(?:what|which) (?:\w+ ){0,2}?year\b", "year"),
    (r"\b(?:what|which) (?:\w+ ){0,2}?(?:date|day|days|night|month|week|weekday|season)\b", "date"),
    (r"^\W*(?:(?:since|until|till|by|from) )?when\b", "when"),
    (r"\bwhy\b|\bhow come\b|\bfor what reason\b|\bwhat (?:\w+ )?(?:reason|cause)s?\b", "reason"),
    (r"\bname of\b|\bcalled\b|\bwhat names?\b|\bname is\b", "name"),
    (r"\bwho\b|\bwhom\b|\bwhose\b", "person"),
    (r"\b(?:what|which) (?:\w+ ){0,2}?(?:person|man|woman|player|captain|artist|painter|author|speaker|guest)\b", "person"),
    (
        r"\bwhere\b|\b(?:what|which) (?:\w+ ){0,2}?(?:place|city|town|country|village|street|room|ground|building|island)\b",
        "place",
    ),
    (r"\bwhat (?:is|are|was) (?:an? )?[\w-]+(?: [\w-]+)?(?:,.*)?\?|\bwhat does .* (?:mean|do)\b|\bdefin", "definition"),
    (
        r"^\W*(?:(?:do|does|did|is|are|was|were|has|have|had|can|could|will|would|should|may|must)(?:n'?t)?)\b(?!.* or )",
        "yes_no",
    ),
    (r"^\W*(?:do|does|did|is|are|was|were|has|have|can|could|will|would|should|may|must)\b.* or ", "choice"),
)
DE = (
    (r"\bwie alt\b", "age"),
    (r"\bwie oft\b|\bwie haufig\b", "frequency"),
    (r"\bwie ?viel\w*\b.*\b(?:kostet\w*|bezahl\w*|zahl\w*)\b|\bwas kostet\w*|\bwie teuer\b|\bpreis\b", "money"),
    (r"\bwie ?viel\w*\b.*\b(?:wiegt|wiegen|wog)\b|\bwie schwer\b", "weight"),
    (r"\bwie ?viele?n?\b", "count"),
    (r"\bwie (?:hoch|tief|breit|dick|dunn|weit|gross)\b", "length"),
    (r"\bwie lange?\b", "duration"),
    (r"\bwie schnell\b", "speed"),
    (r"\bwie (?:heiss|kalt|warm)\b|\btemperatur\b", "temperature"),
    (r"\bum wie ?viel uhr\b|\bwie spat\b", "time"),
    (r"\bwelche[mns]? jahr\b", "year"),
    (r"\bwelche[mnsr]? (?:\w+ )?(?:tag|tage|tagen|datum|monat|woche|nacht)\b", "date"),
    (r"\b(?:seit |bis |ab )?wann\b", "when"),
    (r"\bwarum\b|\bweshalb\b|\bwieso\b|\bgrund\b", "reason"),
    (r"\bwer\b|\bwen\b|\bwem\b|\bwessen\b", "person"),
    (r"\bwie heisst\b|\bnamen?\b", "name"),
    (r"\bwo\b|\bwohin\b|\bwoher\b|\bwelche[mnsr]? (?:\w+ )?(?:ort|stadt|land|dorf|strasse)\b", "place"),
    (r"\bwas (?:ist|sind|bedeutet) (?:ein\w* |der |die |das )?[\w-]+\W*$", "definition"),
    (r"^\W*(?:ist|sind|war|waren|hat|haben|kann|darf|wird|gibt|muss|soll)\b(?!.* oder )", "yes_no"),
)
ES = (
    (r"\bcuantos anos tiene|\bque edad\b", "age"),
    (r"\bcada cuanto\b|\bcuantas veces\b|\bcon que frecuencia\b", "frequency"),
    (r"\bcuanto\b.*\b(?:cuesta\w*|costo|costara|vale|pagar|paga)\b|\bprecio\b|\bcuanto (?:es|era)\b", "money"),
    (r"\bcuanto pesa\w*|\bque peso\b", "weight"),
    (r"\bhasta cuando\b|\bdesde cuando\b|\bcuando\b", "when"),
    (r"\bcuanto (?:tiempo|dura\w*|tarda\w*)\b", "duration"),
    (r"\bcuant[oa]s\b", "count"),
    (r"\bcuanto mide\w*|\bque (?:altura|profundidad|anchura|tamano)\b", "length"),
    (r"\bque temperatura\b", "temperature"),
    (r"\ba que hora\b|\bque hora\b", "time"),
    (r"\b(?:que|cual) ano\b", "year"),
    (r"\bque (?:dia|dias|fecha|mes|noche|semana)\b", "date"),
    (r"\bpor que\b|\brazon\b|\bmotivo\b", "reason"),
    (r"\bquien(?:es)?\b", "person"),
    (r"\bcomo se llama\w*|\bnombre\b", "name"),
    (r"\bdonde\b|\bque (?:lugar|ciudad|pueblo|pais|sitio)\b", "place"),
    (r"\bque (?:es|son|significa) (?:un\w* |el |la )?[\w-]+\W*$", "definition"),
    (r"\bcuanto\b|\bcuanta\b", "amount"),
    (r"^\W*(?:esta|estan|es|son|hay|habra|tiene|tienen|puede|se)\b", "yes_no"),
)
FR = (
    (r"\bquel age\b", "age"),
    (r"\bcombien de fois\b", "frequency"),
    (r"\bcombien\b.*\b(?:coute\w*|paye\w*)\b|\bquel (?:est le )?prix\b", "money"),
    (r"\bcombien\b.*\bpese\w*", "weight"),
    (r"\bcombien de temps\b", "duration"),
    (r"\bcombien\b", "count"),
    (r"\bquelle (?:hauteur|profondeur|largeur|taille)\b", "length"),
    (r"\bquelle heure\b", "time"),
    (r"\bquelle annee\b", "year"),
    (r"\bquand\b|\bquel (?:jour|mois)\b|\bquelle date\b", "when"),
    (r"\bpourquoi\b", "reason"),
    (r"\bqui\b(?! (?:est|sont)-ce que)", "person"),
    (r"\bcomment s'?appelle\w*|\bnom\b", "name"),
    (r"\bou\b|\bquel(?:le)? (?:ville|pays|endroit|lieu)\b", "place"),
    (r"\bqu'?est[- ]ce qu(?:e c'?est qu)?", "definition"),
)
ZH = (
    ("多大年纪|几岁|多少岁|多大岁数", "age"),
    ("几次|多少次|多久一次", "frequency"),
    ("多少钱|几块钱|价格|多少元|票价", "money"),
    ("多重|重量|多少公斤|多少斤", "weight"),
    ("多高|多深|多宽|多厚|多远|直径|多长(?!时间)", "length"),
    ("多久|多长时间|多少时间|几天|几个小时|多少天", "duration"),
    ("几点|什么时间|什么时刻", "time"),
    ("哪一?年|几几年", "year"),
    ("什么时候|哪一?天|几月|几号|星期几|哪个月", "when"),
    ("为什么|为何|什么原因|怎么会", "reason"),
    ("叫什么|什么名字|名字", "name"),
    ("谁|哪位|什么人", "person"),
    ("哪里|哪儿|什么地方|在哪|哪个城市", "place"),
    ("什么是|是什么意思", "definition"),
    ("多少|几[个位名条座只辆本种层]", "count"),
    ("吗[？?]?$|是不是|有没有|能不能", "yes_no"),
)
BY_LANGUAGE = {"en": EN, "de": DE, "es": ES, "fr": FR, "zh": ZH}

# What a sentence says that gives a reason, a place or how often, by language.
REASONS = {
    "en": r"\bbecause\b|\bsince\b|\bso that\b|\bthat's why\b|\bdue to\b|\botherwise\b|\bthanks to\b|\breason\b"
    r"|\bin case\b|\bso\b"
    r"|\bas\b|\bfor\b|\bto\b",
    "de": r"\bweil\b|\bdenn\b|\bdamit\b|\bdeshalb\b|\bdaher\b|\bwegen\b|\bsonst\b|\bum\b.*\bzu\b|\bgrund\b|\bda\b",
    "es": r"\bporque\b|\bpor\b|\bpara\b|\bpues\b|\basi que\b|\bdebido\b|\bsi\b|\bya que\b",
    "fr": r"\bparce que?\b|\bcar\b|\bpour\b|\bafin\b|\bpuisque\b|\ba cause\b",
    "zh": "因为|所以|由于|为了|免得|否则|怕|说",
}
PLACES = {
    "en": r"\b(?:in|at|on|under|behind|near|from|to|beside|above|below|inside|outside|between|opposite|into|onto|beyond"
    r"|around)\b",
    "de": r"\b(?:in|im|an|am|auf|unter|hinter|neben|bei|beim|aus|nach|vor|zum|zur|uber|zwischen|ins)\b",
    "es": r"\b(?:en|a|al|de|del|bajo|detras|cerca|desde|junto|entre|sobre|hasta)\b",
    "fr": r"\b(?:dans|a|au|en|sur|sous|derriere|pres|de|chez|entre)\b",
    "zh": "在|到|从|里|外|门|下面|上面|东|西|南|北",
}
FREQUENCIES = {
    "en": r"\b(?:every|once|twice|times|daily|weekly|monthly|yearly|each|never|always|(?:an?|per) (?:day|week|month"
    r"|year|hour))\b",
    "de": r"\b(?:jede\w*|mal|einmal|zweimal|taglich|wochentlich|jahrlich|nie|immer|pro)\b|\w+mal\b",
    "es": r"\b(?:cada|vez|veces|diari\w+|semanal\w*|nunca|siempre|todos los|al (?:dia|mes|ano))\b",
    "fr": r"\b(?:chaque|fois|tous les|toutes les|jamais|toujours|par (?:jour|an|mois))\b",
    "zh": "每|次|一直|从不",
}
RELATIVE_DATES = {
    "en": r"\b(?:today|tomorrow|yesterday|tonight|spring|summer|autumn|winter|easter|christmas|whitsun|new year|weekend"
    r"|next \w+|last \w+|the week after|end of|beginning of|weeks? ago|years? ago|months? ago)\b",
    "de": r"\b(?:heute|morgen|gestern|fruhling|fruhjahr|sommer|herbst|winter|ostern|weihnachten|pfingsten|nachste\w*|vorige\w*"
    r"|letzte\w*|\w+tags|ende)\b",
    "es": r"\b(?:hoy|manana|ayer|primavera|verano|otono|invierno|navidad|semana santa|proxim\w+|pasad\w+|lunes|martes|miercoles"
    r"|jueves|viernes|sabados?|domingos?)\b",
    "fr": r"\b(?:aujourd'hui|demain|hier|printemps|ete|automne|hiver|noel|paques|prochain\w*|dernier\w*)\b",
    "zh": "今天|明天|昨天|春|夏|秋|冬|节|下周|上周|中午|早上|晚上|傍晚|下午|上午|半夜|月|点|年",
}
AGES = {
    "en": r"\bold\b|\baged?\b|\bbirthday\b|\bborn\b",
    "de": r"\balt\b|\balter\b|\bgeburtstag\b|\bgeboren\b",
    "es": r"\banos\b|\bedad\b|\bnaci\w+",
    "fr": r"\bans\b|\bage\b",
    "zh": "岁|年龄|出生",
}
# What is said before something is corrected, at the beginning of a sentence.
CORRECTIONS = {
    "en": r"^\W*(?:no,|no\W*$|sorry|wait|hang on|correction|actually|i mean|not \w+,|oh|my mistake|scratch that|rather)",
    "de": r"^\W*(?:nein|moment|entschuldigung|falsch\w*|pardon|halt|quatsch|ich meine|besser gesagt|stopp)\b",
    "es": r"^\W*(?:no,|perdon|perdona|espera|mejor dicho|digo|quiero decir|me equivoco)",
    "fr": r"^\W*(?:non,|pardon|attendez|excusez|je veux dire|plutot)",
    "zh": "^\\W*(?:对不起|不对|不是|说错|错了|更正|应该是)",
}
# Words by which something was decided on.
DECISIONS = {
    "en": r"\b(?:chose|chosen|choose|decided|decide|picked|went with|go for|went for|settled|instead|won|prefer\w*|in the end"
    r"|ruled out|rejected|turned down|finally|took|opted|selected|stuck with|rather than|ended up|kept|used"
    r")\b",
    "de": r"\b(?:entschied\w*|entschieden|gewahlt|wahlte\w*|genommen|nahm\w*|stattdessen|schliesslich|am ende|lieber"
    r"|beschloss\w*)\b",
    "es": r"\b(?:elegi\w*|eligi\w*|decidi\w*|quedamos|quedaron|escogi\w*|preferi\w*|en vez|al final|finalmente)\b",
    "fr": r"\b(?:choisi\w*|decide\w*|prefere\w*|plutot|finalement|retenu\w*)\b",
    "zh": "决定|选|改|最后|不推荐|推荐|而是|不是",
}
NEGATIONS = {
    "en": r"\b(?:no|not|never|nobody|none|nothing|neither|nor|cannot|without)\b|n['’]t\b",
    "de": r"\b(?:nein|nicht|nie|niemals|niemand|kein\w*|nichts|weder|ohne)\b",
    "es": r"\b(?:no|nunca|nadie|ningun\w*|nada|tampoco|ni|sin)\b",
    "fr": r"\b(?:non|pas|jamais|personne|aucune?|rien|ni|sans)\b",
    "zh": "不|没|无|未|别",
}
