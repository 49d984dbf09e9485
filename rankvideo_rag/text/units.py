"""Names of units, money and durations in English, German, Spanish, French and Chinese, and their canonical names.

The spelling of a unit is normalised, its value is not converted: 8 km is not 8,000 m.
"""

import re
from typing import Literal

UnitKind = Literal["percent", "money", "duration", "measure"]

# A canonical name, then what it is called; an underscore stands for a space. Words are matched without case, symbols with it.
_DURATIONS = """
second second seconds sec secs s Sekunde Sekunden segundo segundos seconde secondes 秒 秒钟
minute minute minutes min mins Minute Minuten minuto minutos 分钟
hour hour hours hr hrs h Stunde Stunden hora horas heure heures 小时 个小时 个钟头
day day days Tag Tage Tagen día días dia dias jour jours 天
night night nights Nacht Nächte Nächten noche noches nuit nuits 晚
week week weeks Woche Wochen semana semanas semaine semaines 周 个星期 星期
month month months Monat Monate Monaten mes meses mois 个月
year year years yr yrs Jahr Jahre Jahren año años an ans année années 年 岁 周年
decade decade decades Jahrzehnt Jahrzehnte Jahrzehnten década décadas décennie décennies
"""
_MONEY = """
pound £ pound pounds quid GBP Pfund libra libras livre livres 英镑
euro € euro euros EUR 欧元
dollar $ dollar dollars USD dólar dólares 美元
yuan ¥ yuan RMB CNY 元 块 块钱 人民币
cent cent cents céntimo céntimos centime centimes
penny p pence penny
franc franc francs Franken CHF franco francos
krone krone kroner krona kronor
peso peso pesos
yen yen 日元
rupee rupee rupees
"""
_PERCENT = """
percent % ％ per_cent percent Prozent por_ciento pour_cent pour_100 por_100 百分点 percentage_points percentage_point
"""
_MEASURES = """
km km kilometer kilometers kilometre kilometres Kilometer Kilometern kilómetro kilómetros kilomètre kilomètres 公里 千米
m m meter meters metre metres Meter Metern metro metros mètre mètres 米
cm cm centimeter centimeters centimetre centimetres Zentimeter Zentimetern
cm centímetro centímetros centimètre centimètres 厘米 公分
mm mm millimeter millimeters millimetre millimetres Millimeter Millimetern milímetro milímetros millimètre millimètres 毫米
mile mile miles mi Meile Meilen milla millas 英里
foot foot feet ft Fuß 英尺
inch inch inches Zoll pulgada pulgadas pouce pouces 英寸
yard yard yards
m2 m² m2 sqm sq_m square_meter square_meters square_metre square_metres Quadratmeter Quadratmetern
m2 metro_cuadrado metros_cuadrados mètre_carré mètres_carrés 平方米 平米
km2 km² km2 square_kilometer square_kilometers square_kilometre square_kilometres Quadratkilometer Quadratkilometern 平方公里
km2 kilómetros_cuadrados kilomètres_carrés
hectare ha hectare hectares Hektar hectárea hectáreas 公顷
acre acre acres
l l L liter liters litre litres Liter Litern litro litros 升
ml ml milliliter milliliters millilitre millilitres Milliliter Millilitern mililitro mililitros 毫升
m3 m³ m3 cubic_meter cubic_meters cubic_metre cubic_metres Kubikmeter Kubikmetern metros_cúbicos mètres_cubes 立方米
gallon gallon gallons
pint pint pints
cup cup cups
tablespoon tbsp tablespoon tablespoons Esslöffel cucharada cucharadas
teaspoon tsp teaspoon teaspoons Teelöffel cucharadita cucharaditas
kg kg kilo kilos kilogram kilograms kilogramme kilogrammes Kilo Kilogramm kilogramo kilogramos 公斤 千克
g g gr gram grams gramme grammes Gramm gramo gramos 克
t t ton tons tonne tonnes Tonne Tonnen tonelada toneladas 吨
pound lb lbs
ounce oz ounce ounces onza onzas
jin 斤
km/h km/h kmh kph kilometers_per_hour kilometres_per_hour kilometers_an_hour kilometres_an_hour
km/h Stundenkilometer Stundenkilometern Kilometer_pro_Stunde
km/h kilómetros_por_hora kilomètres_à_l’heure kilomètres_heure 公里每小时 km_an_hour km_per_hour
mph mph miles_per_hour miles_an_hour Meilen_pro_Stunde millas_por_hora
m/s m/s meters_per_second metres_per_second meters_a_second metres_a_second Meter_pro_Sekunde metros_por_segundo
knot knot knots kn Knoten nudo nudos
degree ° °C degree degrees degrees_Celsius degrees_centigrade Celsius Grad Grad_Celsius grado grados degré degrés 度 摄氏度
fahrenheit °F degrees_Fahrenheit Fahrenheit
newton_metre Nm newton_metre newton_metres newton_meter newton_meters Newtonmeter newton-metres newton-meters
volt V volt volts Volt voltios 伏 伏特
watt W watt watts Watt vatios 瓦
kw kW kilowatt kilowatts Kilowatt
kwh kWh kilowatt_hours Kilowattstunden
amp A amp amps ampere amperes Ampere amperios
hertz Hz hertz
khz kHz kilohertz
mhz MHz megahertz
decibel dB decibel decibels Dezibel
bar bar bars
mb MB megabyte megabytes Megabyte
gb GB gigabyte gigabytes Gigabyte
"""
_SYMBOLS = frozenset("s h m l L g t V W A p kn ha MB GB Hz kHz MHz dB kW kWh Nm min an gr mi cm mm km kg ml".split())


def _read(kind: UnitKind, table: str) -> dict[str, tuple[UnitKind, str]]:
    lines = (line.split() for line in table.strip().splitlines())
    return {alias.replace("_", " "): (kind, unit) for unit, *aliases in lines for alias in aliases}


_EXACT = _read("measure", _MEASURES) | _read("money", _MONEY) | _read("duration", _DURATIONS) | _read("percent", _PERCENT)
_FOLDED = {alias.casefold(): found for alias, found in _EXACT.items() if alias not in _SYMBOLS}


def _alternatives(aliases: list[str]) -> str:
    return "|".join(re.escape(alias).replace("\\ ", r"[ \-]") for alias in sorted(aliases, key=len, reverse=True))


_WORDS = _alternatives([alias for alias in _EXACT if alias not in _SYMBOLS])
UNIT = rf"(?:(?:(?i:{_WORDS})|{_alternatives(sorted(_SYMBOLS))})(?![^\W_\u3000-\u9fff])(?!['’]\w{{2}}))"
"""Pattern of a unit's name."""


def find_unit(name: str) -> tuple[UnitKind, str]:
    """Return the kind and the canonical name of a unit that `UNIT` matched.

    >>> find_unit("Kilometres"), find_unit("m²"), find_unit("£")
    (('measure', 'km'), ('measure', 'm2'), ('money', 'pound'))
    """
    if name in _EXACT:
        return _EXACT[name]
    spaced = name.casefold().replace("-", " ")
    return _FOLDED.get(spaced) or _FOLDED[name.casefold()]
