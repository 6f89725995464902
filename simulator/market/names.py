"""Names of the equity universe: known lines with their identifiers, receipts on them, words for invented companies."""

from types import MappingProxyType

# symbol, name, ISIN without its check digit, market, price
US = """
AAPL|Apple|US037833100|XNAS|231.45
MSFT|Microsoft|US594918104|XNAS|428.10
AMZN|Amazon.com|US023135106|XNAS|202.35
GOOGL|Alphabet A|US02079K305|XNAS|176.20
GOOG|Alphabet C|US02079K107|XNAS|177.90
META|Meta Platforms|US30303M102|XNAS|561.75
NVDA|NVIDIA|US67066G104|XNAS|141.60
TSLA|Tesla|US88160R101|XNAS|338.20
BRK.B|Berkshire Hathaway B|US084670702|XNYS|472.60
BF.B|Brown-Forman B|US115637209|XNYS|41.85
JPM|JPMorgan Chase|US46625H100|XNYS|243.10
V|Visa|US92826C839|XNYS|309.45
MA|Mastercard|US57636Q104|XNYS|521.30
JNJ|Johnson & Johnson|US478160104|XNYS|154.40
WMT|Walmart|US931142103|XNYS|88.15
PG|Procter & Gamble|US742718109|XNYS|171.90
HD|Home Depot|US437076102|XNYS|409.25
XOM|Exxon Mobil|US30231G102|XNYS|120.55
CVX|Chevron|US166764100|XNYS|160.80
KO|Coca-Cola|US191216100|XNYS|63.70
PEP|PepsiCo|US713448108|XNAS|159.20
ABBV|AbbVie|US00287Y109|XNYS|172.60
MRK|Merck|US58933Y105|XNYS|98.45
PFE|Pfizer|US717081103|XNYS|25.60
COST|Costco|US22160K105|XNAS|951.20
AVGO|Broadcom|US11135F101|XNAS|164.75
CSCO|Cisco|US17275R102|XNAS|58.40
ORCL|Oracle|US68389X105|XNYS|190.15
ADBE|Adobe|US00724F101|XNAS|512.35
CRM|Salesforce|US79466L302|XNYS|341.05
NFLX|Netflix|US64110L106|XNAS|887.40
INTC|Intel|US458140100|XNAS|24.35
AMD|Advanced Micro Devices|US007903107|XNAS|138.60
QCOM|Qualcomm|US747525103|XNAS|157.10
TXN|Texas Instruments|US882508104|XNAS|199.80
IBM|IBM|US459200101|XNYS|222.95
GE|GE Aerospace|US369604301|XNYS|180.20
CAT|Caterpillar|US149123101|XNYS|395.60
BA|Boeing|US097023105|XNYS|149.30
DIS|Walt Disney|US254687106|XNYS|115.65
NKE|Nike|US654106103|XNYS|77.25
MCD|McDonald's|US580135101|XNYS|290.85
GS|Goldman Sachs|US38141G104|XNYS|597.20
MS|Morgan Stanley|US617446448|XNYS|134.55
BAC|Bank of America|US060505104|XNYS|47.10
C|Citigroup|US172967424|XNYS|69.80
WFC|Wells Fargo|US949746101|XNYS|75.95
T|AT&T|US00206R102|XNYS|22.90
VZ|Verizon|US92343V104|XNYS|42.55
UNH|UnitedHealth|US91324P102|XNYS|601.40
LLY|Eli Lilly|US532457108|XNYS|748.95
SPY|SPDR S&P 500 ETF|US78462F103|ARCX|595.50
QQQ|Invesco QQQ|US46090E103|XNAS|505.80
IWM|iShares Russell 2000|US464287655|ARCX|238.70
GLD|SPDR Gold Shares|US78463V107|ARCX|250.60
TLT|iShares 20+ Year Treasury|US464287432|XNAS|91.35
XLF|Financial Select Sector|US81369Y605|ARCX|50.45
"""
# fund's symbol, broker's symbol, name, ISIN without its check digit, price in pounds
LONDON = """
VOD.L|VOD LN|Vodafone|GB00BH4HKS3|0.7052
HSBA.L|HSBA LN|HSBC Holdings|GB000540528|7.3260
BP.L|BP/ LN|BP|GB000798059|3.8745
AZN.L|AZN LN|AstraZeneca|GB000989529|104.4600
GSK.L|GSK LN|GSK|GB00BN7SWP6|13.4050
BARC.L|BARC LN|Barclays|GB003134865|2.5870
TSCO.L|TSCO LN|Tesco|GB00BLGZ986|3.5610
"""
# as LONDON, with the market
EURO = """
SAP.DE|SAP GY|SAP|DE000716460|XETR|222.85
SIE.DE|SIE GY|Siemens|DE000723610|XETR|183.42
ASML.AS|ASML NA|ASML Holding|NL001027321|XAMS|646.30
MC.PA|MC FP|LVMH|FR000012101|XPAR|588.40
"""
SEDOLS = MappingProxyType({"SAP.DE": "4846288", "SIE.DE": "5727973", "ASML.AS": "B929F46", "MC.PA": "4061412"})
# underlying line, symbol, CUSIP, market, price in dollars
RECEIPTS = (
    ("VOD.L", "VOD", "92857W308", "XNAS", "8.91"),
    ("HSBA.L", "HSBC", "404280406", "XNYS", "46.10"),
    ("BP.L", "BP", "055622104", "XNYS", "29.30"),
    ("AZN.L", "AZN", "046353108", "XNAS", "65.70"),
    ("GSK.L", "GSK", "37733W204", "XNYS", "33.75"),
    ("BARC.L", "BCS", "06738E204", "XNYS", "13.05"),
    ("SAP.DE", "SAP", "803054204", "XNYS", "234.10"),
    ("MC.PA", "LVMUY", "502441306", "XNAS", "123.60"),
)

TITLES = (
    "Northfield", "Halden", "Corvane", "Brightmoor", "Tessaly", "Quillon", "Marlow", "Estridge", "Kestrel", "Vantor",
    "Oakhurst", "Silverlake", "Pinecrest", "Ravenna", "Thornbury", "Calderon", "Westmark", "Eastgate", "Lumora",
    "Draxton", "Fenwick", "Garrison", "Hollis", "Ironwood", "Juniper", "Kingsley", "Larkspur", "Meridale",
    "Nordhaven", "Orsino", "Palisade", "Redstone", "Sablewood", "Trident", "Umbra", "Valencia", "Wexford", "Yarrow",
    "Zenith", "Ashcombe",
)  # fmt: skip
TRADES = (
    "Semiconductors", "Biosciences", "Logistics", "Energy", "Foods", "Materials", "Software", "Insurance",
    "Properties", "Airlines", "Pharma", "Motors", "Retail", "Networks", "Utilities", "Mining", "Apparel", "Health",
    "Robotics", "Capital",
)  # fmt: skip
