# Reference values of options of `fit`: information=, fixed.x, std.lv, growth(), lavaan(), many categories, ordered predictors.
# Run: Rscript semfit/tests/reference/options.R (from the root of the repository). Makes options.json and
# options_sessionInfo.txt. Data: estimators/data_<name>.csv.
suppressMessages({library(lavaan); library(jsonlite)})
OUT <- "semfit/tests/reference"
read <- function(name) read.csv(file.path(OUT, "estimators", paste0("data_", name, ".csv")))

hs <- read("hs")
many <- hs
for (name in c("x1", "x2", "x3", "x4")) many[[name]] <- as.integer(cut(hs[[name]], 20))
for (name in c("x1", "x2", "x3", "x4")) many[[name]] <- match(many[[name]], sort(unique(many[[name]])))
write.csv(many[c("x1", "x2", "x3", "x4")], file.path(OUT, "options_many.csv"), row.names = FALSE)

PATHS <- "v =~ x1 + x2 + x3\nt =~ x4 + x5 + x6\nt ~ v"
COVARIATE <- paste(PATHS, "v ~ ageyr", sep = "\n")
GROWTH <- "i =~ 1*x1 + 1*x2 + 1*x4\ns =~ 0*x1 + 1*x2 + 2*x4"
WRITTEN <- "f =~ 1*x1 + x2 + x3 + x4\nf ~~ f\nx1 ~~ x1\nx2 ~~ x2\nx3 ~~ x3 + x4\nx4 ~~ x4\nx1 ~ 1\nx2 ~ 1\nx3 ~ 1\nx4 ~ 1"
SCALES <- "f =~ x1 + x2 + c(l1, l2)*x3 + x4\nx3 | c(u1, u2)*t1 + c(v1, v2)*t2\nx3 ~*~ c(1, 1)*x3"
BLOCKS <- "group: 1\nf =~ x1 + x2 + a*x3\nf ~ b*ageyr\ngroup: 2\nf =~ x1 + a*x2 + x3\nf ~ b*ageyr"
case <- function(data, model, call, ...) list(data = data, model = model, call = call, options = list(...))
CASES <- list()
for (data in c("hs", "hsmiss")) for (estimator in c("ML", "MLR")) for (kind in c("expected", "observed")) {
  missing <- if (data == "hs") "listwise" else "fiml"
  CASES[[paste(data, estimator, kind, sep = "_")]] <-
    case(data, PATHS, "sem", estimator = estimator, missing = missing, information = kind)
}
CASES$random_x <- case("hsmiss", COVARIATE, "sem", fixed.x = FALSE, missing = "fiml")
CASES$random_x_mlr <- case("hs", COVARIATE, "sem", fixed.x = FALSE, estimator = "MLR")
CASES$unit <- case("hs", PATHS, "sem", std.lv = TRUE)
CASES$orthogonal <- case("hs", "v =~ x1 + x2 + x3\nt =~ x4 + x5 + x6", "sem", orthogonal = TRUE)
CASES$coded <- case("hs", PATHS, "sem", effect.coding = TRUE, meanstructure = TRUE)
CASES$growth <- case("hs", GROWTH, "growth")
CASES$written <- case("hs", WRITTEN, "lavaan")
CASES$product <- case("hs", "x1 ~ x2 + x3 + x2:x3", "sem")
CASES$many <- case("many", "f =~ x1 + x2 + x3 + x4", "sem", estimator = "WLSMV", ordered = TRUE)
CASES$scales <- case("hscat", SCALES, "sem", estimator = "WLSMV", ordered = TRUE, group = "school",
  group.equal = c("loadings", "thresholds"))
CASES$blocks <- case("hs", BLOCKS, "sem", group = "school")

result <- lapply(CASES, function(one) {
  data <- if (one$data == "many") many else read(one$data)
  fit <- suppressWarnings(do.call(one$call, c(list(one$model, data), one$options)))
  table <- parameterEstimates(fit, remove.system.eq = TRUE, remove.ineq = TRUE)
  table <- table[!table$op %in% c("==", "<", ">", ":="), ]
  group <- if (is.null(table$group)) rep(1L, nrow(table)) else table$group
  measures <- fitMeasures(fit)
  keep <- intersect(c("chisq", "df", "chisq.scaled", "cfi", "cfi.robust", "rmsea.robust"), names(measures))
  c(one, list(groups = lavInspect(fit, "group.label"), measures = as.list(measures[keep]),
    estimates = list(lhs = table$lhs, op = table$op, rhs = table$rhs, group = group, est = table$est, se = table$se)))
})
writeLines(toJSON(result, auto_unbox = TRUE, digits = NA, na = "null"), file.path(OUT, "options.json"))
writeLines(capture.output(sessionInfo()), file.path(OUT, "options_sessionInfo.txt"))
